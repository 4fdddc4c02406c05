"""Kafka: topics and producers as every process makes them."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from services.runtime.settings import Settings

log = logging.getLogger(__name__)


async def ensure_topics(settings: Settings) -> None:
    """Create our topics if they are missing; where we may not, the operator has made them.

    Raises KafkaError when the broker cannot be reached.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    try:
        await admin.start()
        known = set(await admin.list_topics())
        for name in (settings.events_topic, settings.status_topic):
            if name not in known:
                await _create(admin, name)
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, name: str) -> None:
    # -1: as many partitions and replicas as the brokers are set to
    answer = await admin.create_topics([NewTopic(name, -1, -1, {})])
    for _, code, *rest in getattr(answer, "topic_errors", ()):
        if code not in (0, 36):  # 36: somebody else made it meanwhile
            log.warning("topic %s not created: code %d %s", name, code, rest[0] if rest else "")


@asynccontextmanager
async def open_producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """Open a producer that waits for all replicas; raise KafkaError when it cannot.

    A send that is not answered within 10 s fails; what was sent may then be there all the same.
    """
    # aiokafka's idempotent producer never gives up, so that nobody can stop while Kafka is away, and
    # after a record that Kafka refused its sequence numbers no longer fit. It has one request in flight
    # per partition either way, so the order holds; readers know an event by its identity.
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        client_id="omroeper",
        acks="all",
        linger_ms=0,
        request_timeout_ms=10_000,
        max_request_size=2 * settings.body_limit_bytes + 100_000,
        compression_type=None,
    )
    try:
        await producer.start()
        yield producer
    finally:
        await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        await producer.stop()
    except KafkaError as error:
        log.info("producer stopped with %s", type(error).__name__)
