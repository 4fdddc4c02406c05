"""Hands accepted events to Kafka: at least once, in order, through outages of the broker.

Rules:
1. An event is borrowed from the database, sent, and only then noted as handed over.
2. It stays due, ever more rarely, until a planner has planned it: a broker may forget, we do not.
3. One event that Kafka refuses does not hold up the others.
"""

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.domain.cloudevents import to_kafka
from services.domain.event import Event
from services.runtime.clock import utc_now
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.kafka import ensure_topics, open_producer
from services.runtime.settings import Settings
from services.runtime.waiting import until
from services.storage import events

log = logging.getLogger(__name__)
_BATCH = 200
_LEASE_SECONDS = 15.0  # longer than the producer tries
_REFUSED_SECONDS = 2.0
_POLL_SECONDS = 1.0
_RETRY_SECONDS = 1.0


class Relay:
    """Relays until told to stop; `wake` says that there is something new."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings
        self._news = asyncio.Event()
        self.connected = False

    def wake(self) -> None:
        """Say that an event was accepted."""
        self._news.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`; outages of Kafka and the database are waited for."""
        quiet = False
        while not stop.is_set():
            try:
                await self._relay(stop)
                quiet = False
            except (KafkaError, *UNAVAILABLE) as error:
                if self.connected or not quiet:
                    log.warning("relay waits, events are kept meanwhile: %s", type(error).__name__)
                quiet = True
            self.connected = False
            await until(stop, _RETRY_SECONDS)

    async def _relay(self, stop: asyncio.Event) -> None:
        await ensure_topics(self._settings)
        async with open_producer(self._settings) as producer:
            self.connected = True
            while not stop.is_set():
                self._news.clear()
                due, nothing_for = await self._borrow()
                if due:
                    await self._hand_over(producer, due)
                else:
                    await until(self._news, nothing_for)

    async def _borrow(self) -> tuple[Sequence[tuple[UUID, Event]], float]:
        """Borrow what is due, or tell for how many seconds there may be nothing; on one connection."""
        async with self._pool.acquire() as connection:
            due = await events.claim_relay(connection, limit=_BATCH, lease_seconds=_LEASE_SECONDS)
            at = None if due else await events.next_relay(connection)
        seconds = (at - utc_now()).total_seconds() if at else _POLL_SECONDS
        return due, min(max(seconds, 0.01), _POLL_SECONDS)

    async def _hand_over(self, producer: AIOKafkaProducer, due: Sequence[tuple[UUID, Event]]) -> None:
        done, failures = await _send(producer, self._settings.events_topic, due)
        refused = [event_id for event_id, _ in due if event_id not in done]
        async with self._pool.acquire() as connection:
            await events.handed_over(connection, list(done), self._settings.relay_again_seconds)
            if refused:
                await events.not_handed_over(connection, refused, _REFUSED_SECONDS)
        for error in failures:
            log.warning("an event was not taken by Kafka, and is tried again: %s", type(error).__name__)
        if failures and not done:
            raise failures[0]


async def _send(
    producer: AIOKafkaProducer, topic: str, due: Sequence[tuple[UUID, Event]]
) -> tuple[set[UUID], list[KafkaError]]:
    sent = []
    for _, event in due:
        key, value, headers = to_kafka(event)
        sent.append(asyncio.ensure_future(_send_one(producer, topic, key, value, headers)))
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, KafkaError):
            raise outcome
    done = {event_id for (event_id, _), o in zip(due, outcomes, strict=True) if not isinstance(o, KafkaError)}
    return done, [o for o in outcomes if isinstance(o, KafkaError)]


async def _send_one(
    producer: AIOKafkaProducer, topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    await producer.send_and_wait(topic, value, key=key, headers=headers)
