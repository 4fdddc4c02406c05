"""The relay against a real Kafka: every accepted event gets there, through outages and in company."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from cloudevents.core.bindings import kafka as oracle

from services.domain.cloudevents import from_kafka
from services.domain.event import Event, bare_event, parse_cloudevent
from services.domain.strict_json import parse_json
from services.publisher.relay import Relay
from services.runtime.database import Pool
from services.runtime.listen import listen
from services.runtime.settings import Settings
from services.storage import events, planning
from tests.integration.web import serving
from tests.rig.kafka import KafkaServer
from tests.rig.process import free_port
from tests.rig.samples import SOURCE, cloudevent, opportunity
from tests.rig.waiting import until

pytestmark = pytest.mark.kafka
FOREVER = 3_600.0


def settings_for(bootstrap: str, dsn: str, **more: Any) -> Settings:
    """Settings with topics of this test's own; what is not planned stays with Kafka, unless asked."""
    name = uuid4().hex
    topics = {"events_topic": f"events-{name}", "status_topic": f"status-{name}"}
    given = {"kafka_bootstrap_servers": bootstrap, "database_url": dsn, "relay_again_seconds": FOREVER}
    return Settings(**{**topics, **given, **more})


@asynccontextmanager
async def relaying(pool: Pool, settings: Settings) -> AsyncIterator[Relay]:
    """Run a relay as `serve publisher` does, woken by the database."""
    relay, stop = Relay(pool, settings), asyncio.Event()
    tasks = [
        asyncio.create_task(relay.run(stop)),
        asyncio.create_task(listen(settings.database_url, "events_accepted", relay.wake, stop)),
    ]
    try:
        yield relay
    finally:
        stop.set()
        relay.wake()
        await asyncio.gather(*tasks)


class Topic:
    """Collects what arrives on the events topic."""

    def __init__(self) -> None:
        self.records: list[ConsumerRecord] = []

    @property
    def ids(self) -> Counter[str]:
        """How often each event came, by its CloudEvents id."""
        return Counter(from_kafka(record.headers, record.value).id for record in self.records)

    async def wait_for(self, ids: Sequence[str]) -> None:
        """Wait until each of these came."""
        await until(lambda: set(ids) <= set(self.ids), seconds=60, what=f"{len(ids)} events on the topic")


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Topic]:
    """Read the events topic from its beginning."""
    topic = Topic()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
        metadata_max_age_ms=500,
    )

    async def read() -> None:
        async for record in consumer:
            topic.records.append(record)

    await consumer.start()
    consumer.subscribe(pattern=f"^{settings.events_topic}$")
    task = asyncio.create_task(read())
    try:
        yield topic
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await consumer.stop()


async def accept(pool: Pool, given: Sequence[Event]) -> list[UUID]:
    async with pool.acquire() as connection, connection.transaction():
        accepted = await events.accept(connection, given, accepted_by="http", relay=True)
    return [one.id for one in accepted]


async def test_an_event_goes_to_kafka_as_others_read_it(pool: Pool, database_url: str, kafka: str) -> None:
    settings = settings_for(kafka, database_url)
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    given = cloudevent(data=opportunity(id="opdracht-é".replace("é", "e"), title="Één"), traceparent=trace)
    async with relaying(pool, settings), reading(settings) as topic:
        await accept(pool, [parse_cloudevent(given)])
        await topic.wait_for([given["id"]])
    (record,) = topic.records
    assert record.key == b"opdracht-e"
    headers = dict(record.headers)
    assert headers["content-type"].startswith(b"application/cloudevents+json")
    assert headers["traceparent"] == trace.encode()
    message = oracle.KafkaMessage(headers=headers, key=record.key, value=record.value)
    read = oracle.from_kafka_event(message)
    assert (read.get_id(), read.get_source(), read.get_type()) == (given["id"], SOURCE, given["type"])
    assert (read.get_subject(), read.get_datacontenttype()) == ("opdracht-e", "application/json")
    assert read.get_time().isoformat() == "2027-01-12T08:00:00+00:00"
    assert read.get_extension("traceparent") == trace
    assert read.get_data() == parse_cloudevent(given).data


async def test_an_event_is_the_same_after_the_database_and_kafka(
    pool: Pool, database_url: str, kafka: str
) -> None:
    settings = settings_for(kafka, database_url)
    # numbers that jsonb writes in another way than they were given
    numbers = b"[1e16, -1.5e300, 1E2, -0.0, 0.10, 5e-324, 1e-7, 12345678901234567890, 1.7976931348623157e308]"
    data = parse_json(b'{"id": "opdracht-1", "title": "Kade", "time": "x", "numbers": %s}' % numbers)
    event = bare_event(data, source=SOURCE)
    async with relaying(pool, settings), reading(settings) as topic:
        await accept(pool, [event])
        await topic.wait_for([event.id])
    (record,) = topic.records
    again = from_kafka(record.headers, record.value)
    assert (again.id, again.data, again.content_hash) == (event.id, event.data, event.content_hash)
    async with pool.acquire() as connection, connection.transaction():
        (known,) = await events.accept(connection, [again], accepted_by="kafka", relay=False)
    assert known.status == "duplicate"


async def test_events_of_one_opportunity_keep_their_order(pool: Pool, database_url: str, kafka: str) -> None:
    settings = settings_for(kafka, database_url)
    given = [bare_event(opportunity(id="opdracht-1", version=n), source=SOURCE) for n in range(1, 31)]
    for event in given:  # one transaction each: the order of acceptance
        await accept(pool, [event])
    ordered = [row["ce_id"] for row in await pool.fetch("SELECT ce_id FROM events ORDER BY id")]
    async with relaying(pool, settings), reading(settings) as topic:
        await topic.wait_for([event.id for event in given])
    assert [from_kafka(record.headers, record.value).id for record in topic.records] == ordered
    assert len({record.partition for record in topic.records}) == 1


async def test_an_event_not_planned_is_handed_over_again_and_a_planned_one_is_not(
    pool: Pool, database_url: str, kafka: str
) -> None:
    settings = settings_for(kafka, database_url, relay_again_seconds=0.1)
    event = parse_cloudevent(cloudevent())
    async with relaying(pool, settings), reading(settings) as topic:
        (event_id,) = await accept(pool, [event])
        await until(lambda: topic.ids[event.id] >= 3, seconds=60, what="the event to be relayed again")
        async with pool.acquire() as connection, connection.transaction():
            await planning.plan(connection, [event_id])
        async with pool.acquire() as connection:
            assert await events.next_relay(connection) is None


async def test_a_broker_that_forgot_gets_what_is_not_planned_again(
    pool: Pool, database_url: str, kafka: str
) -> None:
    first, second = settings_for(kafka, database_url), settings_for(kafka, database_url)
    given = [parse_cloudevent(cloudevent()) for _ in range(3)]
    ids = [event.id for event in given]
    event_ids = await accept(pool, given)
    async with relaying(pool, first), reading(first) as topic:
        await topic.wait_for(ids)
    async with pool.acquire() as connection, connection.transaction():
        await planning.plan(connection, event_ids[:1])
        await events.relay_now(connection)
    async with relaying(pool, second), reading(second) as topic:
        await topic.wait_for(ids[1:])
    assert topic.ids == {ids[1]: 1, ids[2]: 1}


async def test_two_relays_at_once_lose_nothing(pool: Pool, database_url: str, kafka: str) -> None:
    settings = settings_for(kafka, database_url)
    given = [parse_cloudevent(cloudevent()) for _ in range(600)]
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(relaying(pool, settings))
        topic = await stack.enter_async_context(reading(settings))
        for start in range(0, 600, 60):
            await accept(pool, given[start : start + 60])
        await topic.wait_for([event.id for event in given])
    assert set(topic.ids) == {event.id for event in given}
    assert await pool.fetchval("SELECT count(*) FROM events WHERE relay_after <= now()") == 0


async def test_an_event_too_large_for_the_broker_does_not_hold_up_the_others(
    pool: Pool, database_url: str, kafka: str
) -> None:
    settings = settings_for(kafka, database_url)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        small = {"max.message.bytes": "30000"}
        await admin.create_topics([NewTopic(settings.events_topic, 1, 1, topic_configs=small)])
    finally:
        await admin.close()
    large = [bare_event(opportunity(description="x" * 40_000), source=SOURCE) for _ in range(2)]
    others = [bare_event(opportunity(), source=SOURCE) for _ in range(20)]
    async with relaying(pool, settings), reading(settings) as topic:
        await accept(pool, [large[0], *others[:10], large[1]])
        await topic.wait_for([event.id for event in others[:10]])
        await accept(pool, others[10:])
        await topic.wait_for([event.id for event in others])
    assert set(topic.ids) == {event.id for event in others}
    kept = await pool.fetch("SELECT ce_id FROM events WHERE relay_after < now() + interval '5 min'")
    assert {row["ce_id"] for row in kept} == {event.id for event in large}


async def test_what_is_accepted_while_kafka_is_down_is_relayed_when_it_returns(
    pool: Pool, database_url: str, own_kafka: Callable[[], KafkaServer]
) -> None:
    server = await asyncio.to_thread(own_kafka)
    settings = settings_for(server.bootstrap, database_url)
    before, during = cloudevent(), [cloudevent() for _ in range(5)]
    async with relaying(pool, settings) as relay, serving(pool) as api:
        async with reading(settings) as topic:
            await api.publish(before)
            await topic.wait_for([before["id"]])
        await asyncio.to_thread(server.kill)
        answers = [await api.publish(event) for event in during]
        assert [answer.status for answer in answers] == [202] * 5
        await until(lambda: not relay.connected, seconds=60, what="the relay to notice the outage")
        assert (await api.publish(during[0])).body["status"] == "duplicate"
        await asyncio.to_thread(server.restart)
        async with reading(settings) as topic:
            await topic.wait_for([event["id"] for event in (before, *during)])
    assert set(topic.ids) == {event["id"] for event in (before, *during)}


async def test_a_relay_started_without_kafka_stops_when_it_is_told_to(pool: Pool, database_url: str) -> None:
    settings = settings_for(f"127.0.0.1:{free_port()}", database_url)
    event = parse_cloudevent(cloudevent())
    async with relaying(pool, settings) as relay, asyncio.timeout(60):
        await accept(pool, [event])
        assert not relay.connected
    assert await pool.fetchval("SELECT relay_after <= now() FROM events")
