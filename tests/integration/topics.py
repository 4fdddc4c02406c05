"""Topics of one test on a real Kafka: what is produced to them, consumed from them, and committed."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.dispatcher.planner import run_planner
from services.runtime.database import Pool
from services.runtime.settings import Settings
from tests.integration.owing import running

_LARGEST = 4_000_000
Headers = Sequence[tuple[str, bytes | None]]


async def make_topics(settings: Settings, *, partitions: int = 1) -> None:
    """Make the two topics; the one for events takes records larger than ours may be."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        large = {"max.message.bytes": str(_LARGEST)}
        await admin.create_topics(
            [
                NewTopic(settings.events_topic, partitions, 1, topic_configs=large),
                NewTopic(settings.status_topic, partitions, 1),
            ]
        )
    finally:
        await admin.close()


class Marketplace:
    """A producer that writes to the events topic itself, past our publisher."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._topic, self._producer = settings.events_topic, producer

    async def put(
        self, value: bytes | None, *, headers: Headers = (), partition: int = 0, key: bytes = b"k"
    ) -> int:
        """Write one record as it is, and return its offset."""
        written = await self._producer.send_and_wait(
            self._topic, value, key=key, headers=list(headers), partition=partition
        )
        return int(written.offset)

    async def emit(self, event: dict[str, Any], *, partition: int = 0) -> int:
        """Write an event in structured mode."""
        headers = [("content-type", b"application/cloudevents+json")]
        return await self.put(json.dumps(event).encode(), headers=headers, partition=partition)

    async def emit_binary(self, event: dict[str, Any]) -> int:
        """Write an event in binary mode."""
        attributes = {name: value for name, value in event.items() if name not in ("data", "datacontenttype")}
        headers = [(f"ce_{name}", str(value).encode()) for name, value in attributes.items()]
        headers.append(("content-type", b"application/json"))
        return await self.put(json.dumps(event["data"]).encode(), headers=headers)


@asynccontextmanager
async def marketplace(settings: Settings) -> AsyncIterator[Marketplace]:
    """Open a producer on the events topic."""
    servers = settings.kafka_bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=servers, max_request_size=_LARGEST) as producer:
        yield Marketplace(settings, producer)


async def committed(settings: Settings, partition: int = 0) -> int | None:
    """Ask how far the planners' group has come in the events topic; None when nowhere yet."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=settings.consumer_group,
        enable_auto_commit=False,
    )
    async with consumer:
        offset: int | None = await consumer.committed(TopicPartition(settings.events_topic, partition))
        return offset


@asynccontextmanager
async def statuses(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a reader of the status topic, from its beginning."""
    consumer = AIOKafkaConsumer(
        settings.status_topic,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    async with consumer:
        yield consumer


async def next_status(consumer: AIOKafkaConsumer) -> tuple[ConsumerRecord, dict[str, Any]]:
    """Read one status event: the record, and what it says."""
    record = await consumer.getone()
    return record, json.loads(record.value)


@asynccontextmanager
async def planning(pool: Pool, settings: Settings) -> AsyncIterator[None]:
    """Run a planner."""
    async with running(lambda stop: run_planner(pool, settings, stop)):
        yield
