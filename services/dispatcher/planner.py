"""Consumes the events topic with FastStream: raw batches, explicit offsets, nothing lost.

Rules (docs/decisions/0003-kafka-consumption.md):
1. MANUAL acknowledgement, and commits of exact offsets after the database has the batch: the default
   policy commits by the clock, and `ack()` commits positions that may lie past what was handled.
2. A parser that looks at no header: FastStream's own decodes them as UTF-8, and one bad byte would
   silently drop the whole batch.
3. The database away: wait, seek back, take the same batch again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.schemas import Topic
from faststream.message import StreamMessage

from services.dispatcher.intake import Record, take_in
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.kafka import ensure_topics
from services.runtime.settings import Settings
from services.runtime.waiting import until

log = logging.getLogger(__name__)
_BATCH_RECORDS = 200
_BATCH_TIMEOUT_MS = 10  # an empty poll waits this long twice, and a new event with it
_FETCH_WAIT_MS = 20  # Kafka answers as soon as there is something; librdkafka's broker only after this
_SESSION_TIMEOUT_MS = 6_000  # so long its partitions wait for a planner that was killed
_LONGEST_BACKOFF = 10.0


class Assigned(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Tells when partitions are assigned to this planner, and from then on it plans."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Note that there is something to read."""
        if assigned:
            self.event.set()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Go on: what is not committed is read by whoever gets it."""


async def run_planner(
    pool: Pool, settings: Settings, stop: asyncio.Event, assigned: Assigned | None = None
) -> None:
    """Plan events until `stop`; a broker that is away is waited for."""
    backoff = 0.5
    while not stop.is_set():
        broker = make_broker(pool, settings, assigned or Assigned())
        try:
            await ensure_topics(settings)
            await broker.start()
            log.info("planner reads %s", settings.events_topic)
            backoff = 0.5
            await stop.wait()
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("planner waits for Kafka: %s", type(error).__name__)
            await until(stop, backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF)
        finally:
            with suppress(KafkaError, OSError, TimeoutError):
                await broker.stop()


def make_broker(pool: Pool, settings: Settings, assigned: Assigned) -> KafkaBroker:
    """Make the FastStream broker with its one consumer."""
    broker = KafkaBroker(
        settings.kafka_bootstrap_servers.split(","),
        client_id="omroeper-planner",
        logger=None,
        graceful_timeout=5.0,
        apply_types=False,
        allow_auto_create_topics=False,
    )
    subscriber = broker.subscriber(
        Topic(settings.events_topic, declare=False),
        group_id=settings.consumer_group,
        listener=assigned,
        batch=True,
        max_records=_BATCH_RECORDS,
        batch_timeout_ms=_BATCH_TIMEOUT_MS,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        session_timeout_ms=_SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=_SESSION_TIMEOUT_MS // 3,
        auto_offset_reset="earliest",  # a new group must not lose what came before it
        ack_policy=AckPolicy.MANUAL,
        parser=_parse,
        decoder=_keep_message,
    )
    subscriber(_consumer(pool, settings))
    return broker


def _consumer(pool: Pool, settings: Settings) -> Callable[[KafkaMessage], Awaitable[None]]:
    failures = 0

    async def on_opportunity_events(message: KafkaMessage) -> None:
        nonlocal failures
        records = cast(Sequence[Record], message.raw_message)
        try:
            await take_in(pool, records, limit_bytes=settings.body_limit_bytes)
        except UNAVAILABLE as error:
            failures += 1
            log.warning("planner waits for the database: %s", type(error).__name__)
            await _take_again(message, failures)
        except Exception:
            # No record is to blame for this, or it would be a dead letter: a disk is full, a standby answers.
            failures += 1
            log.exception("planner cannot store a batch, and takes it again")
            await _take_again(message, failures)
        else:
            failures = 0
            await _commit(cast(AIOKafkaConsumer, message.consumer), records)

    return on_opportunity_events


async def _take_again(message: KafkaMessage, failures: int) -> None:
    await asyncio.sleep(min(0.2 * 2 ** min(failures, 10), _LONGEST_BACKOFF))
    await message.nack()


async def _commit(consumer: AIOKafkaConsumer, records: Sequence[Record]) -> None:
    offsets: dict[TopicPartition, int] = {}
    for record in records:
        partition = TopicPartition(record.topic, record.partition)
        offsets[partition] = max(offsets.get(partition, 0), record.offset + 1)
    try:
        await consumer.commit(offsets)
    except (CommitFailedError, IllegalStateError):
        log.info("offsets not committed: the group was rebalanced; whoever gets the batch knows it already")
    except KafkaError as error:
        log.warning("offsets not committed: %s; the batch will be read again", type(error).__name__)


async def _parse(
    records: Any, original: Callable[[Any], Awaitable[StreamMessage[Any]]]
) -> StreamMessage[Any]:
    """Parse a batch without its headers, then give the records back as they came."""
    message = await original(tuple(replace(record, headers=()) for record in records))
    message.raw_message = records
    return message


async def _keep_message(message: StreamMessage[Any]) -> StreamMessage[Any]:
    """Hand the message itself to the consumer, as its body: no dependency resolution, no decoding."""
    return message
