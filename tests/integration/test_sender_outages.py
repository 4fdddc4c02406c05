"""The database away while something is being sent: the outcome waits for it, nothing goes twice."""

import asyncio
from collections.abc import Callable

import pytest

from services.runtime.database import open_pool
from tests.integration.owing import PATIENCE, Books, sending, settings_for
from tests.rig.postgres import PostgresServer, socket_of, through
from tests.rig.proxy import Proxy
from tests.rig.receiver import Receiver, Reply
from tests.rig.waiting import until


async def test_a_database_that_stops_while_something_is_sent_gets_the_outcome_afterwards(
    own_postgres: Callable[[], PostgresServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = await asyncio.to_thread(own_postgres)
    settings = settings_for(server.dsn, lease_seconds=5.0)
    answer = asyncio.Event()
    async with open_pool(server.dsn) as pool, Receiver() as receiver:
        books = Books(pool, settings)
        receiver.on("/", Reply(200, after=answer))
        owed = [await books.owe(receiver.url()) for _ in range(3)]
        async with sending(pool, settings):
            await receiver.wait_for(3, seconds=PATIENCE)
            await asyncio.to_thread(server.stop)
            answer.set()
            await until(lambda: "outcomes wait for the database" in caplog.text, seconds=PATIENCE)
            await asyncio.to_thread(server.start)
            rows = [await books.until_state(delivery, "sent") for delivery in owed]
            later = await books.owe(receiver.url("/later"))
            await books.until_state(later, "sent")
        tries = [len(await books.attempts(delivery)) for delivery in owed]
    assert [row["attempts"] for row in rows] == tries == [1, 1, 1]
    assert set(receiver.ids().values()) == {1}


async def test_connections_that_are_cut_again_and_again_neither_lose_nor_repeat(
    database_url: str,
) -> None:
    async with (
        Proxy(socket_of(database_url)) as proxy,
        open_pool(database_url) as near,
        open_pool(through(database_url, proxy.port)) as far,
        Receiver() as receiver,
    ):
        # what was claimed when the answer got lost on the way is nobody's until its lease ends
        settings = settings_for(through(database_url, proxy.port), lease_seconds=5.0)
        books = Books(near, settings)
        somebody = await books.subscribe(receiver.url())
        async with sending(far, settings):
            for turn in range(3):
                for _ in range(5):
                    await books.plan()
                await receiver.wait_for(5 * turn + 1, seconds=PATIENCE)
                await proxy.cut()
                await proxy.heal()
            await books.until_states(somebody.id, *["sent"] * 15)
    assert len(receiver.ids()) == 15
    assert set(receiver.ids().values()) == {1}
