"""Dead letters: listed, put back on their topic as they were, and read once the cause is mended."""

import json
from collections.abc import Callable
from uuid import uuid4

import pytest

from services.runtime.database import Pool
from services.storage import dead_letters
from services.storage.dead_letters import DeadLetter, Unreadable
from tests.integration.owing import Books, eventually, settings_for
from tests.integration.topics import make_topics, marketplace, planning
from tests.rig.process import Process
from tests.rig.samples import cloudevent

NOWHERE = "http://127.0.0.1:9/"


async def letters(pool: Pool, *, requeued_too: bool = False) -> list[DeadLetter]:
    """Read the dead letters."""
    async with pool.acquire() as connection:
        return await dead_letters.page(connection, requeued_too=requeued_too)


async def add(pool: Pool, *, offset: int, value: bytes | None = b"{", reason: str = "why") -> None:
    """Keep one record."""
    record = Unreadable("events", 0, offset, b"key", value, [("name", b"\xff"), ("none", None)], reason)
    async with pool.acquire() as connection:
        await dead_letters.add(connection, [record])


async def test_a_record_comes_back_byte_for_byte(pool: Pool) -> None:
    await add(pool, offset=7, value=bytes(range(256)))
    (letter,) = await letters(pool)
    assert (letter.topic, letter.partition, letter.offset, letter.key) == ("events", 0, 7, b"key")
    assert letter.value == bytes(range(256))
    assert letter.raw_headers() == [("name", b"\xff"), ("none", None)]
    async with pool.acquire() as connection:
        assert await dead_letters.get(connection, letter.id) == letter
        assert await dead_letters.get(connection, uuid4()) is None


async def test_a_reason_that_postgres_cannot_hold_is_kept_as_far_as_it_can(pool: Pool) -> None:
    await add(pool, offset=1, reason="nul \x00 half \ud800 " + "x" * 5_000)
    (letter,) = await letters(pool)
    assert letter.reason.startswith("nul  half ? x")
    assert len(letter.reason) == 2_000


async def test_pages_follow_each_other_and_leave_out_what_was_put_back(pool: Pool) -> None:
    for offset in range(5):
        await add(pool, offset=offset)
    async with pool.acquire() as connection:
        first = await dead_letters.page(connection, limit=2)
        second = await dead_letters.page(connection, limit=2, after=first[-1].id)
        third = await dead_letters.page(connection, limit=2, after=second[-1].id)
        pages = [letter.offset for letter in (*first, *second, *third)]
        assert sorted(pages) == [0, 1, 2, 3, 4]
        await dead_letters.mark_requeued(connection, first[0].id)
    assert [letter.offset for letter in await letters(pool)] == pages[1:]
    everything = await letters(pool, requeued_too=True)
    assert [letter.requeued_at is not None for letter in everything] == [True, False, False, False, False]


@pytest.mark.kafka
async def test_a_record_that_is_put_back_is_read_again(
    pool: Pool, database_url: str, kafka: str, omroeper: Callable[..., Process]
) -> None:
    settings = settings_for(database_url, kafka_bootstrap_servers=kafka)
    books = Books(pool, settings)
    await make_topics(settings)
    somebody = await books.subscribe(NOWHERE)
    env = {
        "OMROEPER_DATABASE_URL": database_url,
        "OMROEPER_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "OMROEPER_SECRET_KEY": settings.secret_key,
    }
    # an event that was taken for a dead letter, as when the disk was full
    value = json.dumps(cloudevent()).encode()
    headers = [("content-type", b"application/cloudevents+json")]
    async with pool.acquire() as connection, marketplace(settings) as market:
        await market.put(b"poison")
        lost = Unreadable(settings.events_topic, 0, 0, b"k", value, headers, "the database refused it")
        await dead_letters.add(connection, [lost])
    process = omroeper("deadletters", "requeue", "--all", "--json", **env)
    assert process.wait(seconds=60) == 0, process.output
    async with planning(pool, settings):
        await books.until_states(somebody.id, "pending")
        (poison,) = await eventually(lambda: letters(pool), lambda found: len(found) == 1, what="the poison")
    assert poison.value == b"poison"
    again = omroeper("deadletters", "requeue", "--all", **env)
    assert again.wait(seconds=60) == 0, again.output
    async with planning(pool, settings):
        found = await eventually(lambda: letters(pool), lambda found: len(found) == 1, what="it to be read")
    assert found[0].value == b"poison"
    assert found[0].offset > poison.offset
