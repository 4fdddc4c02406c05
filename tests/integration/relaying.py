"""A relay at work, and a reader of the topic it writes to."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from services.domain.cloudevents import from_kafka
from services.domain.event import Event
from services.publisher.relay import Relay
from services.runtime.database import Pool
from services.runtime.listen import listen
from services.runtime.settings import Settings
from services.storage import events
from tests.rig.waiting import until

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
    """Take events in as the API does, and give our ids."""
    async with pool.acquire() as connection, connection.transaction():
        accepted = await events.accept(connection, given, accepted_by="http", relay=True)
    return [one.id for one in accepted]
