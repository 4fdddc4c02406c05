"""Leases: what a dead dispatcher held is taken back, what a live one holds is not."""

import asyncio
from uuid import UUID

import pytest

from services.domain.delivery import Sent, State, Step
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import deliveries, subscriptions
from services.storage.deliveries import Claim, Result
from tests.integration.owing import PATIENCE, Books, eventually, sending, settings_for
from tests.rig.receiver import HANG, Receiver, Reply


def accepted(claim: Claim) -> Result:
    """Give the outcome of a try that was accepted."""
    outcome = Sent(200, "late but there")
    return Result(
        claim=claim,
        step=Step(State.SENT, claim.attempt),
        started_at=utc_now(),
        duration_ms=5,
        outcome="sent",
        code=outcome.code,
        error=None,
        excerpt=outcome.excerpt,
    )


async def record(books: Books, result: Result) -> set[UUID]:
    """Write one outcome down."""
    async with books.pool.acquire() as connection, connection.transaction():
        return await deliveries.record(connection, [result])


@pytest.fixture
def books(pool: Pool, database_url: str) -> Books:
    """Books of this test's database."""
    return Books(pool, settings_for(database_url, lease_seconds=2.0))


async def test_what_a_dead_dispatcher_held_is_taken_back_and_sent(books: Books) -> None:
    async with Receiver() as receiver:
        delivery = await books.owe(receiver.url())
        (dead,) = await books.claim(lease_seconds=0.1)
        assert dead.id == delivery
        async with sending(books.pool, books.settings):
            row = await books.until_state(delivery, "sent")
    assert row["attempts"] == 2
    found = [(a["number"], a["outcome"], a["error"], a["late"]) for a in await books.attempts(delivery)]
    assert found == [(1, "interrupted", "lease_expired", False), (2, "sent", None, False)]


@pytest.mark.parametrize("other", ["claimed", "sent"])
async def test_a_late_outcome_is_kept_as_late_and_changes_nothing(books: Books, other: str) -> None:
    delivery = await books.owe("http://127.0.0.1:9/")
    (first,) = await books.claim()
    await books.end_lease(delivery)
    async with books.pool.acquire() as connection:
        assert await deliveries.reclaim(connection) == 1
    (second,) = await books.claim()
    assert (first.attempt, second.attempt) == (1, 2)
    if other == "sent":
        assert await record(books, accepted(second)) == {delivery}
    before = await books.delivery(delivery)
    assert await record(books, accepted(first)) == set()
    assert await books.delivery(delivery) == before
    late = [a for a in await books.attempts(delivery) if a["late"]]
    assert [(a["number"], a["outcome"], a["excerpt"]) for a in late] == [(1, "sent", "late but there")]


async def test_a_slow_receiver_gets_one_try_however_short_the_lease(pool: Pool, database_url: str) -> None:
    books = Books(pool, settings_for(database_url, lease_seconds=1.0))
    answer = asyncio.Event()
    async with Receiver() as receiver, sending(pool, books.settings):
        receiver.on("/", Reply(200, after=answer))
        delivery = await books.owe(receiver.url())
        await receiver.wait_for(1, seconds=PATIENCE)
        leases = {(await books.delivery(delivery))["lease_until"]}

        async def renewed_often() -> bool:
            leases.add((await books.delivery(delivery))["lease_until"])
            return len(leases) > 8  # a third of the lease each: it would have ended more than once

        await eventually(renewed_often, bool, what="the lease to be renewed")
        answer.set()
        row = await books.until_state(delivery, "sent")
    assert row["attempts"] == 1
    assert len(receiver.requests) == 1
    assert len(await books.attempts(delivery)) == 1


async def test_renewing_does_not_touch_what_another_holds(books: Books) -> None:
    delivery = await books.owe("http://127.0.0.1:9/")
    (first,) = await books.claim()
    await books.end_lease(delivery)
    async with books.pool.acquire() as connection:
        await deliveries.reclaim(connection)
        (second,) = await books.claim()
        before = (await books.delivery(delivery))["lease_until"]
        await deliveries.renew(connection, [first], 900.0)
        assert (await books.delivery(delivery))["lease_until"] == before
        await deliveries.renew(connection, [second], 900.0)
        assert (await books.delivery(delivery))["lease_until"] > before


async def test_two_dispatchers_share_the_work_and_send_everything_once(books: Books) -> None:
    async with Receiver() as receiver:
        somebody = await books.subscribe(receiver.url())
        async with sending(books.pool, books.settings), sending(books.pool, books.settings):
            for _ in range(40):
                await books.plan()
            await books.until_states(somebody.id, *["sent"] * 40)
    assert len(receiver.ids()) == 40
    assert set(receiver.ids().values()) == {1}


@pytest.mark.parametrize("status", [200, 500])
async def test_who_unsubscribes_while_it_is_sent_is_not_tried_again(books: Books, status: int) -> None:
    answer = asyncio.Event()
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", Reply(status, after=answer))
        somebody = await books.subscribe(receiver.url())
        await books.plan()
        await receiver.wait_for(1, seconds=PATIENCE)
        async with books.pool.acquire() as connection, connection.transaction():
            assert await subscriptions.end(connection, somebody.id, "unsubscribed")
        answer.set()
        (row,) = await books.until_states(somebody.id, "sent" if status == 200 else "cancelled")
    assert row["reason"] == (None if status == 200 else "unsubscribed")
    assert row["settled_at"] is not None
    assert len(receiver.requests) == 1


async def test_a_withdrawal_while_it_is_sent_stops_the_retry(books: Books) -> None:
    answer = asyncio.Event()
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", Reply(500, after=answer))
        somebody = await books.subscribe(receiver.url(), wanted={"types": ["opportunity.published"]})
        event = await books.plan()
        await receiver.wait_for(1, seconds=PATIENCE)
        subject = await books.pool.fetchval("SELECT subject FROM events WHERE id = $1", event)
        await books.plan(type="opportunity.withdrawn", data={"id": subject})
        answer.set()
        (row,) = await books.until_states(somebody.id, "cancelled")
    assert (row["reason"], row["attempts"]) == ("withdrawn", 1)
    assert len(receiver.requests) == 1


async def test_a_send_that_a_stop_cuts_off_goes_back_uncounted(books: Books) -> None:
    async with Receiver() as receiver:
        receiver.on("/", HANG)
        first = await books.owe(receiver.url())
        async with sending(books.pool, books.settings) as stop:
            await receiver.wait_for(1, seconds=PATIENCE)
            stop.set()
        row = await books.delivery(first)
        assert (row["state"], row["attempts"], row["reason"]) == ("pending", 0, "interrupted")
        assert [a["outcome"] for a in await books.attempts(first)] == ["interrupted"]
        receiver.on("/", 200)
        async with sending(books.pool, books.settings):
            row = await books.until_state(first, "sent")
    assert row["attempts"] == 1
    assert receiver.ids() == {str(first): 2}


async def test_a_stop_waits_for_what_is_nearly_done(books: Books) -> None:
    answer = asyncio.Event()
    async with Receiver() as receiver:
        receiver.on("/", Reply(200, after=answer))
        delivery = await books.owe(receiver.url())
        async with sending(books.pool, books.settings) as stop:
            await receiver.wait_for(1, seconds=PATIENCE)
            stop.set()
            asyncio.get_running_loop().call_soon(answer.set)
        assert (await books.delivery(delivery))["state"] == "sent"
    assert len(receiver.requests) == 1
