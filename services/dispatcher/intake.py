"""From Kafka records to owed deliveries, in one transaction per batch.

Rules:
1. Nothing raises for what a record holds: it is an event, or a dead letter with the reason.
2. Events, their deliveries and the dead letters are committed together; then the offsets may be.
3. A batch that the database refuses is taken record by record, so that one cannot hold up the rest.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from aiokafka import ConsumerRecord

from services.dispatcher import metrics
from services.domain.cloudevents import from_kafka
from services.domain.event import Event
from services.domain.problems import Invalid
from services.runtime.database import UNAVAILABLE, Connection, Pool
from services.storage import dead_letters, events, planning
from services.storage.dead_letters import Unreadable

log = logging.getLogger(__name__)
Record: TypeAlias = ConsumerRecord


@dataclass(frozen=True, slots=True)
class Sorted:
    """A batch, sorted into events and what is not one."""

    good: Sequence[tuple[Record, Event]]
    bad: Sequence[Unreadable]


def sort(records: Sequence[Record], *, limit_bytes: int) -> Sorted:
    """Read every record; never raises."""
    good: list[tuple[Record, Event]] = []
    bad: list[Unreadable] = []
    for record in records:
        try:
            good.append((record, _read(record, limit_bytes)))
        except Invalid as invalid:
            bad.append(unreadable(record, str(invalid)))
    return Sorted(good, bad)


def _read(record: Record, limit_bytes: int) -> Event:
    if len(record.value or b"") > limit_bytes:
        raise Invalid.whole(f"is larger than the {limit_bytes} bytes accepted")
    return from_kafka(record.headers, record.value)


def unreadable(record: Record, reason: str) -> Unreadable:
    """Describe a record for the dead letters."""
    place = (record.topic, record.partition, record.offset)
    return Unreadable(*place, record.key, record.value, record.headers, reason)


async def take_in(pool: Pool, records: Sequence[Record], *, limit_bytes: int) -> None:
    """Remember and plan a batch of records. Idempotent; raises only when the database is away."""
    try:
        await _commit(pool, sort(records, limit_bytes=limit_bytes))
    except UNAVAILABLE:
        raise
    except Exception:
        if len(records) > 1:
            for record in records:
                await take_in(pool, [record], limit_bytes=limit_bytes)
            return
        log.exception("record refused by the database: %s", _place(records[0]))
        refused = unreadable(records[0], "the database refused it; the dispatcher's log says why")
        await _commit(pool, Sorted([], [refused]))


async def _commit(pool: Pool, batch: Sorted) -> None:
    async with pool.acquire() as connection, connection.transaction():
        conflicts, owed = await _plan(connection, batch.good)
        refused = [*batch.bad, *conflicts]
        if refused:
            await dead_letters.add(connection, refused)
    metrics.PLANNED.inc(owed)
    metrics.DEAD_LETTERS.inc(len(refused))
    for letter in refused:
        log.error("dead letter: %s/%d/%d: %s", letter.topic, letter.partition, letter.offset, letter.reason)


async def _plan(connection: Connection, good: Sequence[tuple[Record, Event]]) -> tuple[list[Unreadable], int]:
    if not good:
        return [], 0
    accepted = await events.accept(connection, [event for _, event in good], accepted_by="kafka", relay=False)
    conflicts = [
        unreadable(record, f"conflict: {event.source} {event.id} is known with other content, as {known.id}")
        for (record, event), known in zip(good, accepted, strict=True)
        if known.status == "conflict"
    ]
    ids = dict.fromkeys(known.id for known in accepted if known.status != "conflict")
    return conflicts, await planning.plan(connection, list(ids))


def _place(record: Record) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"
