"""Deliveries: claimed, renewed, settled, taken back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.domain.delivery import State, Step
from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery borrowed for one attempt (counted from 1); the attempt number fences its outcome.

    It is about the event `event_id`, or else `carries` a mailing, and its `match` says nothing.
    `probe`: it is the one that a half-open circuit breaker lets through.
    """

    id: UUID
    event_id: UUID | None
    carries: UUID | None
    subscription_id: UUID
    subscriber_id: UUID
    destination: str = field(repr=False)
    attempt: int
    match: Mapping[str, Any]
    expires_at: datetime | None
    target: str = field(repr=False)
    language: str
    subscriber: str
    unsubscribe_seal: bytes = field(repr=False)
    secrets: Sequence[bytes] = field(repr=False)
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What one attempt came to, and what that makes of its delivery."""

    claim: Claim
    step: Step
    started_at: datetime
    duration_ms: int
    outcome: str
    code: int | None
    error: str | None
    excerpt: str
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one claim may borrow: `total` at most, of which `retries` may be retries.

    `room` says how many more a destination may take; one not named may take `room_else`. The same of
    each subscription say `room_of_each` and `room_of_each_else`.
    """

    total: int
    retries: int
    lease_seconds: float
    room: Mapping[str, int]
    room_else: int
    room_of_each: Mapping[UUID, int]
    room_of_each_else: int


async def claim(connection: Connection, channel: str, limits: Limits) -> list[Claim]:
    """Borrow due deliveries of a channel, each for one attempt."""
    rows = await connection.fetch(
        _sql.claim,
        channel,
        limits.total,
        limits.retries,
        limits.lease_seconds,
        list(limits.room),
        list(limits.room.values()),
        limits.room_else,
        list(limits.room_of_each),
        list(limits.room_of_each.values()),
        limits.room_of_each_else,
    )
    return [Claim(*(row[name] for name in _CLAIMED)) for row in rows]


_CLAIMED = [f.name for f in fields(Claim)]


async def next_due(connection: Connection, channel: str) -> datetime | None:
    """Tell when the channel's next retry is due."""
    due: datetime | None = await connection.fetchval(_sql.next_due, channel)
    return due


async def renew(connection: Connection, claims: Sequence[Claim], lease_seconds: float) -> None:
    """Keep the leases of what is still being sent."""
    await connection.execute(_sql.renew, [c.id for c in claims], [c.attempt for c in claims], lease_seconds)


async def record(connection: Connection, results: Sequence[Result]) -> set[UUID]:
    """Write attempts down and settle their deliveries; return the ids settled.

    An id that is missing had lost its lease to another attempt; its try is kept, marked late.
    """
    rows = await connection.fetch(
        _sql.record,
        [r.claim.id for r in results],
        [r.claim.attempt for r in results],
        [str(r.step.state) for r in results],
        [r.step.attempts for r in results],
        [r.step.next_attempt_at for r in results],
        [r.step.reason for r in results],
        [r.started_at for r in results],
        [r.duration_ms for r in results],
        [r.outcome for r in results],
        [r.code for r in results],
        [r.error for r in results],
        [r.excerpt for r in results],
    )
    return {row["id"] for row in rows}


async def reclaim(connection: Connection, limit: int = 1000) -> int:
    """Take back deliveries whose lease ran out; return how many."""
    return len(await connection.fetch(_sql.reclaim, limit))


async def expire(connection: Connection, limit: int = 1000) -> int:
    """End deliveries whose opportunity's deadline has passed; return how many."""
    return len(await connection.fetch(_sql.expire, limit))


async def stop_owed(connection: Connection, subscription_id: UUID, state: State, reason: str) -> int:
    """End what a subscription is still owed, as `cancelled` or `suppressed`; return how many.

    What is being sent at this moment may still arrive; it is cancelled rather than tried again.
    Runs in the caller's transaction.
    """
    await connection.fetch(_sql.lock_owed, subscription_id)
    count: int = await connection.fetchval(_sql.stop_owed, subscription_id, str(state), reason)
    return count


async def let_go(
    connection: Connection, subscription_id: UUID, reason: str, *, reminders: bool = False
) -> None:
    """Take what a locked subscription is owed out of the digests it was to go with, and its reminders."""
    await connection.fetch(_sql.lock_owed, subscription_id)
    await connection.execute(_sql.let_go, subscription_id, reason, reminders)


async def put_off_anew(connection: Connection, subscription_id: UUID) -> None:
    """Judge again when a locked subscription is told of what it is owed: at once, later, in a digest.

    What is in a digest that was made already goes with that. Runs in the caller's transaction.
    """
    await connection.execute(_sql.put_off_anew, subscription_id)
    await connection.execute(_sql.wake)


async def earlier(
    connection: Connection, asked: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], UUID]:
    """Find which earlier version (event id) was sent last, by subscription and event asked for."""
    rows = await connection.fetch(_sql.earlier, [s for s, _ in asked], [e for _, e in asked])
    return {(row["subscription_id"], row["event_id"]): row["earlier"] for row in rows}


async def announcements(connection: Connection, event_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Read the events that deliveries are about."""
    return await connection.fetch(_sql.announcements, event_ids)
