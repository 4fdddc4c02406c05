"""The recorder: outcomes written in groups, kept through outages, and one bad one alone refused."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from services.dispatcher.recorder import Recorder
from services.domain.delivery import State, Step
from services.runtime.clock import utc_now
from services.runtime.database import Pool, open_pool
from services.storage.deliveries import Claim, Result
from tests.integration.owing import PATIENCE, Books, eventually, settings_for
from tests.rig.postgres import socket_of, through
from tests.rig.proxy import Proxy
from tests.rig.waiting import until

NOWHERE = "http://127.0.0.1:9/"
WAITING = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'"""


def sent(claim: Claim) -> Result:
    """Give the outcome of a try that was accepted."""
    return Result(
        claim=claim,
        step=Step(State.SENT, claim.attempt),
        started_at=utc_now(),
        duration_ms=3,
        outcome="sent",
        code=200,
        error=None,
        excerpt="",
    )


@pytest.fixture
def books(pool: Pool, database_url: str) -> Books:
    """Books of this test's database."""
    return Books(pool, settings_for(database_url))


async def claims(books: Books, count: int) -> Sequence[Claim]:
    """Owe so many deliveries, and borrow them."""
    await books.subscribe(NOWHERE)
    for _ in range(count):
        await books.plan()
    return await books.claim()


@asynccontextmanager
async def recording(pool: Pool) -> AsyncIterator[Recorder]:
    """Run a recorder."""
    recorder = Recorder(pool, None)
    task = asyncio.create_task(recorder.run(lambda: None))
    try:
        yield recorder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def held(books: Books, claim: Claim) -> AsyncIterator[None]:
    """Keep a delivery from being settled."""
    async with books.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM deliveries WHERE id = $1 FOR UPDATE", claim.id)
        yield


async def until_sent(books: Books, count: int) -> None:
    """Wait until so many deliveries are sent."""
    asked = "SELECT count(*) FROM deliveries WHERE state = 'sent'"
    await eventually(lambda: books.pool.fetchval(asked), lambda n: n == count, what=f"{count} to be sent")


async def test_what_comes_while_one_group_is_written_is_the_next_group(books: Books) -> None:
    first, *others = await claims(books, 8)
    async with recording(books.pool) as recorder:
        async with held(books, first):
            recorder.put(sent(first))
            await eventually(lambda: books.pool.fetchval(WAITING), bool, what="the recorder to wait")
            for claim in others:
                recorder.put(sent(claim))
            assert {r.claim.id for r in recorder.unrecorded()} == {c.id for c in (first, *others)}
        await until_sent(books, 8)
        await until(lambda: not list(recorder.unrecorded()))
    groups = await books.pool.fetch("SELECT count(*) FROM attempts GROUP BY xmin::text ORDER BY 1")
    assert [row["count"] for row in groups] == [1, 7]


async def test_an_outcome_that_the_database_refuses_does_not_take_the_others_along(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    first, bad, *others = await claims(books, 6)
    async with recording(books.pool) as recorder:
        async with held(books, first):
            recorder.put(sent(first))
            await eventually(lambda: books.pool.fetchval(WAITING), bool, what="the recorder to wait")
            recorder.put(replace(sent(bad), outcome="nonsense"))
            for claim in others:
                recorder.put(sent(claim))
        await until_sent(books, 5)
        await until(lambda: not list(recorder.unrecorded()))
    assert (await books.delivery(bad.id))["state"] == "sending"
    assert f"outcome refused by the database: delivery {bad.id}" in caplog.text


async def test_stopping_in_the_middle_of_a_group_still_records_it(books: Books) -> None:
    (claim,) = await claims(books, 1)
    recorder = Recorder(books.pool, None)
    task = asyncio.create_task(recorder.run(lambda: None))
    async with held(books, claim):
        recorder.put(sent(claim))
        await eventually(lambda: books.pool.fetchval(WAITING), bool, what="the recorder to wait")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await recorder.drain(PATIENCE)
    assert (await books.delivery(claim.id))["state"] == "sent"
    assert list(recorder.unrecorded()) == []


async def test_outcomes_survive_an_outage_and_are_recorded_once(
    books: Books, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = await claims(books, 5)
    async with (
        Proxy(socket_of(database_url)) as proxy,
        open_pool(through(database_url, proxy.port)) as far,
        recording(far) as recorder,
    ):
        await proxy.cut()
        for claim in found:
            recorder.put(sent(claim))
        await until(lambda: "outcomes wait for the database" in caplog.text, seconds=PATIENCE)
        await proxy.heal()
        await until_sent(books, 5)
    rows = await books.pool.fetch("SELECT late, count(*) FROM attempts GROUP BY delivery_id, late")
    assert [(row["late"], row["count"]) for row in rows] == [(False, 1)] * 5


async def test_draining_gives_up_in_time_and_says_what_it_left(
    books: Books, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    (claim,) = await claims(books, 1)
    async with (
        Proxy(socket_of(database_url)) as proxy,
        open_pool(through(database_url, proxy.port)) as far,
    ):
        recorder = Recorder(far, None)
        await proxy.cut()
        recorder.put(sent(claim))
        await recorder.drain(0.3)
    assert "outcomes not recorded before stopping: 1" in caplog.text
    assert (await books.delivery(claim.id))["state"] == "sending"


async def test_one_delivery_twice_in_a_group_is_settled_once(books: Books) -> None:
    (claim,) = await claims(books, 1)
    recorder = Recorder(books.pool, None)
    recorder.put(sent(claim))
    recorder.put(sent(claim))
    await recorder.drain(PATIENCE)
    assert (await books.delivery(claim.id))["state"] == "sent"
