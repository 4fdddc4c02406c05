"""Nobody waits for somebody else: slots, destinations, connections."""

import asyncio

from services.runtime.database import Pool, open_pool
from tests.integration.owing import PATIENCE, Books, sending, settings_for
from tests.rig.receiver import HANG, Receiver, Reply
from tests.rig.samples import opportunity

TRIED_ONCE = """UPDATE deliveries SET state = 'retrying', attempts = 1, next_attempt_at = now()
WHERE id = ANY ($1)"""
OPEN_TRANSACTIONS = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"""


async def test_retries_leave_half_of_the_slots_to_first_attempts(pool: Pool, database_url: str) -> None:
    settings = settings_for(database_url, webhook_slots=4, webhook_timeout_seconds=120.0)
    books = Books(pool, settings)
    async with Receiver() as receiver:
        receiver.on("/slow", HANG)
        again = [await books.owe(receiver.url("/slow")) for _ in range(8)]
        await pool.execute(TRIED_ONCE, again)
        async with sending(pool, settings):
            await receiver.wait_for(2, path="/slow", seconds=PATIENCE)
            for _ in range(3):
                await books.until_state(await books.owe(receiver.url("/quick")), "sent")
            assert len(receiver.to("/slow")) == 2
            await receiver.stop()


async def test_no_more_is_borrowed_than_there_are_slots(pool: Pool, database_url: str) -> None:
    settings = settings_for(database_url, webhook_slots=4, webhook_timeout_seconds=120.0)
    books = Books(pool, settings)
    answer = asyncio.Event()
    async with Receiver() as receiver:
        receiver.on("/", Reply(200, after=answer))
        owed = [await books.owe(receiver.url()) for _ in range(12)]
        await pool.execute(TRIED_ONCE, owed[:6])
        async with sending(pool, settings):
            await receiver.wait_for(4, seconds=PATIENCE)
            other = await books.subscribe("info@incubator.example", channel="email")
            for _ in range(3):  # each one wakes the sender
                await books.plan()
            assert await pool.fetchval("SELECT count(*) FROM deliveries WHERE state = 'sending'") == 4
            assert {row["state"] for row in await books.of_subscription(other.id)} == {"pending"}
            assert len(receiver.requests) == 4
            answer.set()
            for delivery in owed:
                await books.until_state(delivery, "sent")
    assert set(receiver.ids().values()) == {1}


async def test_one_dead_host_does_not_take_all_slots(pool: Pool, database_url: str) -> None:
    settings = settings_for(database_url, webhook_slots=12, webhook_timeout_seconds=120.0)
    books = Books(pool, settings)
    async with Receiver() as dead, Receiver() as alive:
        dead.on("/", HANG)
        for _ in range(40):
            await books.owe(dead.url())
        async with sending(pool, settings):
            await dead.wait_for(8, seconds=PATIENCE)
            for _ in range(3):
                await books.until_state(await books.owe(alive.url()), "sent")
            assert len(dead.requests) == 8
            await dead.stop()


async def test_a_large_fan_out_does_not_starve_the_next_event(pool: Pool, database_url: str) -> None:
    settings = settings_for(database_url, webhook_slots=4)
    books = Books(pool, settings)
    async with Receiver() as receiver:
        crowd = [
            await books.subscribe(receiver.url("/crowd"), wanted={"themes": ["groot"]}) for _ in range(60)
        ]
        await books.plan(data=opportunity(themes=["groot"]))
        # as it is when the crowd is large enough for its turns to last
        await pool.execute(
            "UPDATE deliveries SET turn = turn + interval '1 hour' WHERE turn > "
            "(SELECT turn FROM deliveries ORDER BY turn OFFSET 20 LIMIT 1)"
        )
        small = await books.owe(receiver.url("/small"))
        async with sending(pool, settings):
            await books.until_state(small, "sent")
            for somebody in crowd:
                await books.until_states(somebody.id, "sent")
    order = [request.path for request in receiver.requests]
    assert order.index("/small") <= 21 + settings.webhook_slots


async def test_no_connection_to_the_database_is_held_while_sending(database_url: str) -> None:
    settings = settings_for(database_url, pool_size=1, webhook_timeout_seconds=120.0)
    async with open_pool(database_url, size=settings.pool_size) as pool, Receiver() as receiver:
        books = Books(pool, settings)
        receiver.on("/", HANG)
        for _ in range(6):
            await books.owe(receiver.url())
        async with sending(pool, settings):
            await receiver.wait_for(6, seconds=PATIENCE)
            async with pool.acquire(timeout=PATIENCE) as connection:
                sending_now = "SELECT count(*) FROM deliveries WHERE state = 'sending'"
                assert await connection.fetchval(sending_now) == 6
                assert await connection.fetchval(OPEN_TRANSACTIONS) == 0
            await receiver.stop()
