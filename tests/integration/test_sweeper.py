"""The sweeper: leases that ran out, deadlines that passed, and nothing else."""

import asyncio
from datetime import timedelta

import pytest

from services.dispatcher.sweeper import run_sweeper, sweep
from services.runtime.clock import utc_now
from services.runtime.database import Pool, open_pool
from services.storage import deliveries, subscriptions
from tests.integration.owing import PATIENCE, Books, running, settings_for
from tests.rig.postgres import socket_of, through
from tests.rig.proxy import Proxy
from tests.rig.waiting import until

NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
def books(pool: Pool, database_url: str) -> Books:
    """Books of this test's database."""
    return Books(pool, settings_for(database_url, lease_seconds=1.0))


async def test_a_lease_that_ran_out_makes_the_delivery_due_and_is_told_of_in_its_attempts(
    books: Books,
) -> None:
    delivery = await books.owe(NOWHERE)
    await books.claim()
    await books.end_lease(delivery)
    await sweep(books.pool)
    row = await books.delivery(delivery)
    assert (row["state"], row["reason"], row["attempts"]) == ("retrying", "lease_expired", 1)
    assert row["next_attempt_at"] <= utc_now()
    (attempt,) = await books.attempts(delivery)
    assert (attempt["outcome"], attempt["error"], attempt["number"]) == ("interrupted", "lease_expired", 1)


async def test_what_keeps_killing_its_dispatcher_waits_longer_each_time(books: Books) -> None:
    delivery = await books.owe(NOWHERE)
    waits = []
    for _ in range(3):
        await books.claim()
        await books.end_lease(delivery)
        now = await books.pool.fetchval("SELECT now()")
        await sweep(books.pool)
        due = (await books.delivery(delivery))["next_attempt_at"]
        waits.append((due - now) // timedelta(seconds=5))
        await books.pool.execute("UPDATE deliveries SET next_attempt_at = now() WHERE id = $1", delivery)
    assert waits == [0, 1, 2]


async def test_a_live_lease_is_left_alone(books: Books) -> None:
    delivery = await books.owe(NOWHERE)
    await books.claim(lease_seconds=900)
    before = await books.delivery(delivery)
    await sweep(books.pool)
    assert await books.delivery(delivery) == before


async def test_who_unsubscribed_while_a_dispatcher_died_is_not_tried_again(books: Books) -> None:
    delivery = await books.owe(NOWHERE)
    (claim,) = await books.claim()
    async with books.pool.acquire() as connection, connection.transaction():
        await subscriptions.end(connection, claim.subscription_id, "unsubscribed")
    await books.end_lease(delivery)
    await sweep(books.pool)
    row = await books.delivery(delivery)
    assert (row["state"], row["reason"], row["next_attempt_at"]) == ("cancelled", "unsubscribed", None)


@pytest.mark.parametrize("state", ["pending", "retrying"])
async def test_what_is_owed_expires_at_the_deadline(books: Books, state: str) -> None:
    delivery, other = await books.owe(NOWHERE), await books.owe(NOWHERE)
    await books.pool.execute(
        "UPDATE deliveries SET expires_at = now(), state = $2::text::delivery_state,"
        " next_attempt_at = CASE WHEN $2::text = 'retrying' THEN now() END WHERE id = $1",
        delivery,
        state,
    )
    await sweep(books.pool)
    row = await books.delivery(delivery)
    assert (row["state"], row["reason"], row["next_attempt_at"]) == ("expired", "deadline", None)
    assert (await books.delivery(other))["state"] == "pending"


async def test_two_sweepers_at_once_take_each_lease_back_once(books: Books) -> None:
    owed = [await books.owe(NOWHERE) for _ in range(6)]
    await books.claim()
    for delivery in owed:
        await books.end_lease(delivery)
    await asyncio.gather(*(sweep(books.pool) for _ in range(4)))
    for delivery in owed:
        assert len(await books.attempts(delivery)) == 1


async def test_it_takes_a_few_at_a_time(books: Books) -> None:
    owed = [await books.owe(NOWHERE) for _ in range(5)]
    await books.claim()
    for delivery in owed:
        await books.end_lease(delivery)
    async with books.pool.acquire() as connection:
        assert [await deliveries.reclaim(connection, limit=2) for _ in range(4)] == [2, 2, 1, 0]


async def test_it_goes_on_after_an_outage(
    books: Books, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = await books.owe(NOWHERE)
    await books.claim()
    async with (
        Proxy(socket_of(database_url)) as proxy,
        open_pool(through(database_url, proxy.port)) as far,
        running(lambda stop: run_sweeper(far, books.settings, stop)),
    ):
        await proxy.cut()
        await until(lambda: "sweeper waits for the database" in caplog.text, seconds=PATIENCE)
        await books.end_lease(delivery)
        await proxy.heal()
        await books.until_state(delivery, "retrying")
