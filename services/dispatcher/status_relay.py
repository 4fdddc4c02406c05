"""Tells Kafka of every recorded change of a delivery: at least once, in order, never ahead of the record."""

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.kafka import open_producer
from services.runtime.settings import Settings
from services.runtime.waiting import until
from services.storage import statuses

log = logging.getLogger(__name__)
_POLL_SECONDS = 0.25
_RETRY_SECONDS = 3.0


async def run_status_relay(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    """Relay until `stop`; outages of Kafka and the database are waited for."""
    quiet = False
    while not stop.is_set():
        try:
            await _relay(pool, settings, stop)
            quiet = False
        except (*UNAVAILABLE, KafkaError) as error:
            if not quiet:
                log.warning("status relay waits: %s", type(error).__name__)
            quiet = True
        await until(stop, _RETRY_SECONDS)


async def _relay(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    async with pool.acquire() as connection:
        if not await statuses.lock(connection):
            return
        async with open_producer(settings) as producer:
            while not stop.is_set():
                rows = await statuses.waiting(connection)
                if rows:
                    await _tell(producer, settings.status_topic, rows)
                    await statuses.told(connection, [row["id"] for row in rows])
                else:
                    await until(stop, _POLL_SECONDS)


async def _tell(producer: AIOKafkaProducer, topic: str, rows: Sequence[asyncpg.Record]) -> None:
    sent = [
        await producer.send(
            topic,
            key=row["subject"].encode(),
            value=json.dumps(status_event(row), ensure_ascii=False).encode(),
            headers=[("content-type", b"application/cloudevents+json")],
        )
        for row in rows
    ]
    await asyncio.gather(*sent)


def status_event(row: Any) -> dict[str, Any]:
    """Write a change as a CloudEvent (type `delivery.{state}`); the id makes a repeat recognisable."""
    return {
        "specversion": "1.0",
        "type": f"delivery.{row['state']}",
        "source": "urn:omroeper:dispatcher",
        "id": f"{row['delivery_id']}:{row['id']}",
        "time": row["at"].isoformat(),
        "subject": row["subject"],
        "datacontenttype": "application/json",
        "data": {
            "delivery": str(row["delivery_id"]),
            "event": str(row["event_id"]),
            "event_source": row["source"],
            "event_id": row["ce_id"],
            "event_type": row["type"],
            "subscription": str(row["subscription_id"]),
            "subscriber": row["subscriber"],
            "channel": row["channel"],
            "state": row["state"],
            "attempts": row["attempts"],
            "reason": row["reason"],
            "next_attempt_at": row["next_attempt_at"] and row["next_attempt_at"].isoformat(),
        },
    }
