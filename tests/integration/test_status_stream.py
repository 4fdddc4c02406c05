"""The status stream on a real Kafka: every recorded change, in order, never ahead of the record."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.v1.event import CloudEvent

from services.dispatcher.status_relay import run_status_relay
from services.runtime.database import Pool
from tests.integration.owing import PATIENCE, Books, eventually, running, sending, settings_for
from tests.integration.topics import make_topics, next_status, statuses
from tests.rig.kafka import KafkaServer
from tests.rig.receiver import Receiver
from tests.rig.samples import opportunity
from tests.rig.waiting import until

pytestmark = pytest.mark.kafka
OUTBOX = "SELECT count(*) FROM status_outbox"


@pytest.fixture
async def books(pool: Pool, database_url: str, kafka: str) -> Books:
    """Books of this test's database, with topics of its own."""
    settings = settings_for(database_url, kafka_bootstrap_servers=kafka)
    await make_topics(settings)
    return Books(pool, settings)


async def test_the_changes_of_each_delivery_come_in_order_and_never_ahead_of_the_record(books: Books) -> None:
    settings = books.settings
    told: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver())
        receiver.on("/second", 500, 500, 200)
        receiver.on("/never", 500)
        await stack.enter_async_context(sending(books.pool, settings))
        relay = running(lambda stop: run_status_relay(books.pool, settings, stop))
        await stack.enter_async_context(relay)
        reader = await stack.enter_async_context(statuses(settings))
        owed = [await books.owe(receiver.url(path)) for path in ("/first", "/second", "/never")]
        async with asyncio.timeout(PATIENCE):
            for _ in range(1 + 3 + 3):
                _, status = await next_status(reader)
                data = status["data"]
                told[data["delivery"]].append((data["state"], data["attempts"]))
                row = await books.delivery(UUID(data["delivery"]))
                assert row["attempts"] >= data["attempts"]
                recorded = await books.attempts(UUID(data["delivery"]))
                assert len(recorded) >= data["attempts"]
        await eventually(lambda: books.pool.fetchval(OUTBOX), lambda n: n == 0, what="the outbox to be empty")
    assert [told[str(delivery)] for delivery in owed] == [
        [("sent", 1)],
        [("retrying", 1), ("retrying", 2), ("sent", 3)],
        [("retrying", 1), ("retrying", 2), ("failed", 3)],
    ]


async def test_a_change_is_a_cloudevent_about_the_opportunity_and_names_no_address(books: Books) -> None:
    settings = books.settings
    somebody = await books.subscribe("http://127.0.0.1:9/secret-path", contact="an@incubator.example")
    data = opportunity()
    event = await books.plan(data=data)
    async with books.pool.acquire() as connection:
        await connection.execute(
            "UPDATE deliveries SET state = 'retrying', attempts = 1, reason = 'http_500',"
            " next_attempt_at = '2099-01-01T00:00:00Z'"
        )
    async with (
        running(lambda stop: run_status_relay(books.pool, settings, stop)),
        statuses(settings) as reader,
        asyncio.timeout(PATIENCE),
    ):
        record, status = await next_status(reader)
    (row,) = await books.of_subscription(somebody.id)
    assert record.key == data["id"].encode() == status["subject"].encode()
    assert ("content-type", b"application/cloudevents+json") in record.headers
    assert status["type"] == "delivery.retrying"
    attributes = {name: value for name, value in status.items() if name != "data"}
    CloudEvent({**attributes, "time": row["created_at"]}, status["data"])
    expected: dict[str, Any] = {
        "delivery": str(row["id"]),
        "event": str(event),
        "subscription": str(somebody.id),
        "subscriber": somebody.slug,
        "channel": "webhook",
        "attempts": 1,
        "reason": "http_500",
        "next_attempt_at": "2099-01-01T00:00:00+00:00",
    }
    assert {name: status["data"][name] for name in expected} == expected
    assert b"secret-path" not in record.value
    assert b"an@incubator.example" not in record.value


async def test_what_is_not_committed_is_not_told(books: Books) -> None:
    settings = books.settings
    first, second = await books.owe("http://127.0.0.1:9/"), await books.owe("http://127.0.0.1:9/")
    end = "UPDATE deliveries SET state = 'cancelled', settled_at = now() WHERE id = $1"
    async with (
        running(lambda stop: run_status_relay(books.pool, settings, stop)),
        statuses(settings) as reader,
        books.pool.acquire() as connection,
        asyncio.timeout(PATIENCE),
    ):
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(end, first)
        await books.pool.execute(end, second)
        _, status = await next_status(reader)
        assert status["data"]["delivery"] == str(second)
        await transaction.commit()
        _, status = await next_status(reader)
        assert status["data"]["delivery"] == str(first)


async def test_two_dispatchers_tell_every_change_once(books: Books) -> None:
    settings = books.settings
    await books.subscribe("http://127.0.0.1:9/")
    for _ in range(30):
        await books.plan()
    async with (
        running(lambda stop: run_status_relay(books.pool, settings, stop)),
        running(lambda stop: run_status_relay(books.pool, settings, stop)),
        statuses(settings) as reader,
        asyncio.timeout(PATIENCE),
    ):
        await books.pool.execute("UPDATE deliveries SET state = 'cancelled', settled_at = now()")
        ids = [(await next_status(reader))[1]["id"] for _ in range(30)]
        await eventually(lambda: books.pool.fetchval(OUTBOX), lambda n: n == 0, what="the outbox to be empty")
        end = await reader.end_offsets(reader.assignment())
    assert len(set(ids)) == 30
    assert list(end.values()) == [30]


@pytest.mark.chaos
async def test_changes_wait_for_a_kafka_that_is_away(
    pool: Pool, database_url: str, own_kafka: Callable[[], KafkaServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = await asyncio.to_thread(own_kafka)
    settings = settings_for(database_url, kafka_bootstrap_servers=server.bootstrap)
    await make_topics(settings)
    books = Books(pool, settings)
    owed = [await books.owe("http://127.0.0.1:9/") for _ in range(3)]
    end = "UPDATE deliveries SET state = 'cancelled', settled_at = now() WHERE id = $1"
    async with running(lambda stop: run_status_relay(pool, settings, stop)):
        await pool.execute(end, owed[0])
        await eventually(lambda: pool.fetchval(OUTBOX), lambda n: n == 0, what="the first to be told")
        await asyncio.to_thread(server.kill)
        await pool.execute(end, owed[1])
        await until(lambda: "status relay waits" in caplog.text, seconds=PATIENCE)
        await pool.execute(end, owed[2])
        assert await pool.fetchval(OUTBOX) == 2
        await asyncio.to_thread(server.restart)
        await eventually(lambda: pool.fetchval(OUTBOX), lambda n: n == 0, what="the others to be told")
    seen: list[str] = []
    async with statuses(settings) as reader, asyncio.timeout(PATIENCE):
        while set(seen) != {str(delivery) for delivery in owed}:
            seen.append((await next_status(reader))[1]["data"]["delivery"])
    assert list(dict.fromkeys(seen)) == [str(delivery) for delivery in owed]
