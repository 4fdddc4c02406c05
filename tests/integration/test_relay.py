"""The relay against a real Kafka: every accepted event gets there, as it was and in company."""

from contextlib import AsyncExitStack
from datetime import datetime

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from cloudevents.core.bindings import kafka as oracle

from services.domain.cloudevents import from_kafka
from services.domain.event import bare_event, parse_cloudevent
from services.domain.strict_json import parse_json
from services.runtime.database import Pool
from services.storage import events, planning
from tests.integration.relaying import accept, reading, relaying, settings_for
from tests.rig.samples import SOURCE, cloudevent, opportunity
from tests.rig.waiting import until

pytestmark = pytest.mark.kafka


async def test_an_event_goes_to_kafka_as_others_read_it(pool: Pool, database_url: str, kafka: str) -> None:
    settings = settings_for(kafka, database_url)
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    given = cloudevent(data=opportunity(id="opdracht-e", title="Één"), traceparent=trace)
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
    assert read.get_time() == datetime.fromisoformat(given["time"])
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
