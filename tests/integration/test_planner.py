"""The planner on a real Kafka: records in, deliveries owed, offsets committed afterwards."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from services.runtime.database import Pool
from tests.integration.owing import Books, eventually, settings_for
from tests.integration.topics import committed, make_topics, marketplace, planning
from tests.rig.samples import cloudevent, opportunity

pytestmark = pytest.mark.kafka


@pytest.fixture
async def books(pool: Pool, database_url: str, kafka: str) -> Books:
    """Books of this test's database, with topics of its own."""
    settings = settings_for(database_url, kafka_bootstrap_servers=kafka)
    await make_topics(settings)
    return Books(pool, settings)


def counting(pool: Pool, what: str) -> Callable[[], Awaitable[int]]:
    """Make the question how many rows there are."""
    return lambda: pool.fetchval(f"SELECT count(*) FROM {what}")


async def test_events_in_both_modes_are_remembered_and_owed(books: Books) -> None:
    pool, settings = books.pool, books.settings
    somebody = await books.subscribe("http://127.0.0.1:9/")
    first, second = cloudevent(), cloudevent()
    async with marketplace(settings) as market, planning(pool, settings):
        await market.emit(first)
        await market.emit_binary(second)
        await books.until_states(somebody.id, "pending", "pending")
        await eventually(lambda: committed(settings), lambda offset: offset == 2, what="the commit")
    rows = await pool.fetch("SELECT * FROM events ORDER BY accepted_at")
    assert {row["ce_id"] for row in rows} == {first["id"], second["id"]}
    assert {row["subject"] for row in rows} == {first["data"]["id"], second["data"]["id"]}
    assert {row["accepted_by"] for row in rows} == {"kafka"}
    assert all(row["planned_at"] and row["relay_after"] is None for row in rows)


async def test_events_that_came_before_the_first_planner_are_not_lost(books: Books) -> None:
    somebody = await books.subscribe("http://127.0.0.1:9/")
    async with marketplace(books.settings) as market:
        for _ in range(5):
            await market.emit(cloudevent())
    async with planning(books.pool, books.settings):
        await books.until_states(somebody.id, *["pending"] * 5)


async def test_the_same_records_read_again_change_nothing(books: Books) -> None:
    pool, settings = books.pool, books.settings
    await books.subscribe("http://127.0.0.1:9/")
    async with marketplace(settings) as market:
        for _ in range(3):
            await market.emit(cloudevent())
        last = await market.put(b"no json")
    ask = "SELECT * FROM {} ORDER BY id"
    async with planning(pool, settings):
        await eventually(lambda: committed(settings), lambda offset: offset == last + 1, what="the commit")
    before = [await pool.fetch(ask.format(table)) for table in ("events", "deliveries", "dead_letters")]
    assert [len(rows) for rows in before] == [3, 3, 1]
    again = replace(settings, consumer_group=f"{settings.consumer_group}-again")
    async with planning(pool, again):
        await eventually(lambda: committed(again), lambda offset: offset == last + 1, what="the commit")
    after = [await pool.fetch(ask.format(table)) for table in ("events", "deliveries", "dead_letters")]
    assert after == before


async def test_an_event_with_the_same_identity_twice_in_a_batch_is_owed_once(books: Books) -> None:
    somebody = await books.subscribe("http://127.0.0.1:9/")
    event = cloudevent()
    async with marketplace(books.settings) as market:
        for _ in range(3):
            last = await market.emit(event)
    async with planning(books.pool, books.settings):
        await eventually(lambda: committed(books.settings), lambda n: n == last + 1, what="the commit")
    assert len(await books.of_subscription(somebody.id)) == 1
    assert await counting(books.pool, "dead_letters")() == 0


async def test_what_the_publisher_relays_is_owed_once_however_often_it_comes(books: Books) -> None:
    somebody = await books.subscribe("http://127.0.0.1:9/")
    event = cloudevent()
    await books.plan(**event)
    async with marketplace(books.settings) as market, planning(books.pool, books.settings):
        last = await market.emit(event)
        await eventually(lambda: committed(books.settings), lambda n: n == last + 1, what="the commit")
    assert len(await books.of_subscription(somebody.id)) == 1


async def test_two_planners_in_one_group_share_the_partitions_and_owe_everything_once(
    pool: Pool, database_url: str, kafka: str
) -> None:
    settings = settings_for(database_url, kafka_bootstrap_servers=kafka)
    books = Books(pool, settings)
    await make_topics(settings, partitions=4)
    somebody = await books.subscribe("http://127.0.0.1:9/")
    async with marketplace(settings) as market, planning(pool, settings):
        for n in range(20):
            await market.emit(cloudevent(), partition=n % 4)
        async with planning(pool, settings):
            for n in range(20):
                await market.emit(cloudevent(), partition=n % 4)
            await books.until_states(somebody.id, *["pending"] * 40)
        # the one that stays takes over what the other leaves
        for n in range(8):
            await market.emit(cloudevent(), partition=n % 4)
        await books.until_states(somebody.id, *["pending"] * 48)
    assert await counting(pool, "events")() == 48
    assert await counting(pool, "dead_letters")() == 0


async def test_a_withdrawal_right_behind_its_event_cancels_it_in_the_same_batch(books: Books) -> None:
    somebody = await books.subscribe("http://127.0.0.1:9/")
    data = opportunity()
    async with marketplace(books.settings) as market:
        await market.emit(cloudevent(data=data))
        await market.emit(cloudevent(type="opportunity.withdrawn", data={"id": data["id"]}))
    async with planning(books.pool, books.settings):
        (row,) = await books.until_states(somebody.id, "cancelled")
    assert (row["reason"], row["attempts"]) == ("withdrawn", 0)
