"""The relay while Kafka is away: everything is kept, and goes on when it returns."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.domain.event import parse_cloudevent
from services.runtime.database import Pool
from services.storage import events
from tests.integration.relaying import accept, reading, relaying, settings_for
from tests.integration.web import serving
from tests.rig.kafka import KafkaServer
from tests.rig.process import free_port
from tests.rig.samples import cloudevent
from tests.rig.waiting import until

pytestmark = pytest.mark.kafka


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


async def test_a_relay_stops_while_kafka_is_away_and_the_next_one_goes_on(
    pool: Pool, database_url: str, own_kafka: Callable[[], KafkaServer]
) -> None:
    server = await asyncio.to_thread(own_kafka)
    settings = settings_for(server.bootstrap, database_url)
    first, second = parse_cloudevent(cloudevent()), parse_cloudevent(cloudevent())

    async def borrowed() -> bool:
        query = "SELECT relay_after > now() FROM events WHERE ce_id = $1"
        return bool(await pool.fetchval(query, second.id))

    condition: Callable[[], bool | Awaitable[bool]] = borrowed
    async with asyncio.timeout(120):
        async with relaying(pool, settings):
            async with reading(settings) as topic:
                await accept(pool, [first])
                await topic.wait_for([first.id])
            await asyncio.to_thread(server.kill)
            await accept(pool, [second])
            await until(condition, what="the relay to take the second event")
        await asyncio.to_thread(server.restart)
        async with pool.acquire() as connection:
            await events.relay_now(connection)
        async with relaying(pool, settings), reading(settings) as topic:
            await topic.wait_for([second.id])


async def test_a_relay_started_without_kafka_stops_when_it_is_told_to(pool: Pool, database_url: str) -> None:
    settings = settings_for(f"127.0.0.1:{free_port()}", database_url)
    event = parse_cloudevent(cloudevent())
    async with relaying(pool, settings) as relay, asyncio.timeout(60):
        await accept(pool, [event])
        assert not relay.connected
    assert await pool.fetchval("SELECT relay_after <= now() FROM events")
