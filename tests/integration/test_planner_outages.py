"""The planner when its database or its Kafka is away: it waits, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from services.runtime.database import Pool, open_pool
from tests.integration.owing import PATIENCE, Books, eventually, settings_for
from tests.integration.topics import committed, make_topics, marketplace, planning
from tests.rig.kafka import KafkaServer
from tests.rig.postgres import PostgresServer, socket_of, through
from tests.rig.proxy import Proxy
from tests.rig.samples import cloudevent
from tests.rig.waiting import until

pytestmark = pytest.mark.kafka
NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """A proxy before this test's database."""
    async with Proxy(socket_of(database_url)) as opened:
        yield opened


@pytest.fixture
async def far_pool(database_url: str, proxy: Proxy) -> AsyncIterator[Pool]:
    """A pool through that proxy."""
    async with open_pool(through(database_url, proxy.port)) as opened:
        yield opened


async def said(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Wait until something was logged."""
    await until(lambda: text in caplog.text, seconds=PATIENCE, what=f"the log to say {text!r}")


async def test_a_batch_that_comes_while_the_database_is_away_is_planned_when_it_is_back(
    pool: Pool,
    far_pool: Pool,
    proxy: Proxy,
    database_url: str,
    kafka: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = settings_for(database_url, kafka_bootstrap_servers=kafka)
    books = Books(pool, settings)
    await make_topics(settings, partitions=3)
    somebody = await books.subscribe(NOWHERE)
    async with marketplace(settings) as market, planning(far_pool, settings):
        await market.emit(cloudevent())
        await books.until_states(somebody.id, "pending")
        await eventually(lambda: committed(settings), lambda offset: offset == 1, what="the commit")
        await proxy.cut()
        for n in range(9):
            await market.emit(cloudevent(), partition=n % 3)
            await market.put(b"poison", partition=n % 3)
        await said(caplog, "planner waits for the database")
        assert [await committed(settings, n) for n in range(3)] == [1, None, None]
        await proxy.heal()
        await books.until_states(somebody.id, *["pending"] * 10)
        for partition, end in enumerate((7, 6, 6)):
            await eventually(
                lambda partition=partition: committed(settings, partition),  # type: ignore[misc]
                lambda offset, end=end: offset == end,  # type: ignore[misc]
                what=f"the commit of partition {partition}",
            )
    assert await pool.fetchval("SELECT count(*) FROM dead_letters") == 9


async def test_a_database_server_that_stops_and_starts_loses_nothing(
    own_postgres: Callable[[], PostgresServer], kafka: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = await asyncio.to_thread(own_postgres)
    settings = settings_for(server.dsn, kafka_bootstrap_servers=kafka)
    await make_topics(settings)
    async with open_pool(server.dsn) as pool, marketplace(settings) as market:
        books = Books(pool, settings)
        somebody = await books.subscribe(NOWHERE)
        async with planning(pool, settings):
            await market.emit(cloudevent())
            await books.until_states(somebody.id, "pending")
            await asyncio.to_thread(server.stop)
            for _ in range(3):
                await market.emit(cloudevent())
            await said(caplog, "planner waits for the database")
            await asyncio.to_thread(server.start)
            await books.until_states(somebody.id, *["pending"] * 4)


async def make_read_only(pool: Pool, wanted: bool) -> None:
    """Have the database refuse all changes, as a standby does, or take them again."""
    async with pool.acquire() as connection:
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute("SET default_transaction_read_only = off")
        setting = "on" if wanted else "off"
        await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {setting}')
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> $2"
        await connection.fetch(others, name, connection.get_server_pid())


async def test_a_database_that_refuses_everything_makes_no_event_a_lost_one(
    pool: Pool, database_url: str, kafka: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(database_url, kafka_bootstrap_servers=kafka)
    books = Books(pool, settings)
    await make_topics(settings)
    somebody = await books.subscribe(NOWHERE)
    async with (
        open_pool(database_url) as planners,
        marketplace(settings) as market,
        planning(planners, settings),
    ):
        await market.emit(cloudevent())
        await books.until_states(somebody.id, "pending")
        await make_read_only(pool, True)
        await market.emit(cloudevent())
        await market.emit(cloudevent())
        await said(caplog, "ReadOnlySQLTransactionError")
        await make_read_only(pool, False)
        await books.until_states(somebody.id, *["pending"] * 3)
    assert await pool.fetchval("SELECT count(*) FROM dead_letters") == 0


async def test_a_batch_is_in_the_database_before_its_offsets_are_committed(
    pool: Pool, database_url: str, kafka: str
) -> None:
    settings = settings_for(database_url, kafka_bootstrap_servers=kafka)
    books = Books(pool, settings)
    await make_topics(settings)
    somebody = await books.subscribe(NOWHERE)
    waiting = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    async with marketplace(settings) as market, pool.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT 1 FROM subscriptions WHERE id = $1 FOR UPDATE", somebody.id)
        async with planning(pool, settings):
            await market.emit(cloudevent())
            await eventually(lambda: pool.fetchval(waiting), bool, what="the planner to wait for a lock")
            assert await committed(settings) is None
            assert await pool.fetchval("SELECT count(*) FROM events") == 0
            assert await pool.fetchval("SELECT count(*) FROM deliveries") == 0
            await transaction.commit()
            await books.until_states(somebody.id, "pending")
            await eventually(lambda: committed(settings), lambda offset: offset == 1, what="the commit")


@pytest.mark.chaos
async def test_kafka_that_goes_away_and_comes_back_is_read_on_without_a_restart(
    pool: Pool, database_url: str, own_kafka: Callable[[], KafkaServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = await asyncio.to_thread(own_kafka)
    settings = settings_for(database_url, kafka_bootstrap_servers=server.bootstrap)
    books = Books(pool, settings)
    somebody = await books.subscribe(NOWHERE)
    await asyncio.to_thread(server.stop)
    async with planning(pool, settings):
        await said(caplog, "planner waits for Kafka")
        await asyncio.to_thread(server.start)
        async with marketplace(settings) as market:
            await market.emit(cloudevent())
            await books.until_states(somebody.id, "pending")
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.restart)
        async with marketplace(settings) as market:
            await market.emit(cloudevent())
        await books.until_states(somebody.id, "pending", "pending")
