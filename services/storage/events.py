"""Events: accepted once, handed to Kafka until they are planned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from services.domain.event import Event, EventType
from services.domain.matching import facts
from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)

#: `conflict`: the identity is known with other content, and nothing was changed.
Status = Literal["accepted", "duplicate", "conflict"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an event that was offered; `id` is ours."""

    id: UUID
    status: Status


async def accept(
    connection: Connection, events: Sequence[Event], *, accepted_by: str, relay: bool
) -> list[Accepted]:
    """Remember events, and say for each, in order, whether it is new.

    Idempotent on source and id. With `relay`, publishers hand them to Kafka once the caller's
    transaction is committed.
    """
    # written sorted, so that two batches with the same events wait for each other instead of deadlocking
    offered = sorted(enumerate(events), key=lambda pair: (pair[1].source, pair[1].id))
    rows = [{**_row(event), "place": place} for place, event in offered]
    inserted = {row["id"] for row in await connection.fetch(_sql.accept, rows, accepted_by, relay)}
    known = await connection.fetch(_sql.known, [e.source for e in events], [e.id for e in events])
    by_identity = {(row["source"], row["ce_id"]): row for row in known}
    if relay and inserted:
        await connection.execute(_sql.wake_relay)
    return [_verdict(event, by_identity[event.source, event.id], inserted) for event in events]


def _verdict(event: Event, known: Any, inserted: set[UUID]) -> Accepted:
    if known["content_hash"] != event.content_hash:
        return Accepted(known["id"], "conflict")
    if known["id"] in inserted:
        inserted.discard(known["id"])  # a second one in the same batch is a duplicate
        return Accepted(known["id"], "accepted")
    return Accepted(known["id"], "duplicate")


def _row(event: Event) -> dict[str, Any]:
    matched_by = facts(event).as_dict()
    return {
        "source": event.source,
        "ce_id": event.id,
        "type": str(event.type),
        "subject": event.subject,
        "version": event.version,
        "time": _in_utc(event.time),
        "data": event.data,
        "content_hash": event.content_hash.hex(),
        "traceparent": event.traceparent,
        "deadline": _in_utc(event.deadline),
        **matched_by,
        "value": None if matched_by["value"] is None else str(matched_by["value"]),
    }


def _in_utc(instant: datetime | None) -> str | None:
    # Postgres reads offsets up to 16 hours only, RFC 3339 has them up to 24
    return instant.astimezone(UTC).isoformat() if instant else None


async def claim_relay(
    connection: Connection, *, limit: int, lease_seconds: float
) -> list[tuple[UUID, Event]]:
    """Borrow events that Kafka has to be handed, oldest first."""
    rows = await connection.fetch(_sql.claim_relay, limit, lease_seconds)
    return [(row["id"], _event(row)) for row in sorted(rows, key=lambda row: row["accepted_at"])]


def _event(row: Any) -> Event:
    return Event(
        source=row["source"],
        id=row["ce_id"],
        type=EventType(row["type"]),
        subject=row["subject"],
        version=row["version"],
        time=row["time"],
        data=row["data"],
        traceparent=row["traceparent"],
    )


async def handed_over(connection: Connection, event_ids: Sequence[UUID], again_seconds: float) -> None:
    """Note that Kafka has these events; those not planned by then are handed over again."""
    await connection.execute(_sql.handed_over, event_ids, again_seconds)


async def not_handed_over(connection: Connection, event_ids: Sequence[UUID], again_seconds: float) -> None:
    """Give back events that Kafka did not take."""
    await connection.execute(_sql.not_handed_over, event_ids, again_seconds)


async def next_relay(connection: Connection) -> datetime | None:
    """Tell when the next event is to be handed over."""
    due: datetime | None = await connection.fetchval(_sql.next_relay)
    return due


async def relay_now(connection: Connection) -> None:
    """Have every event that is not planned handed over at once; for a broker that keeps nothing."""
    await connection.execute(_sql.relay_now)
