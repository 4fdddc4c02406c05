"""Replays: what an operator has sent once more, as new deliveries that point at the old ones."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from uuid import UUID

from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries to send once more; None leaves a criterion open. Times are of their planning."""

    delivery: UUID | None = None
    event: UUID | None = None
    subscriber: str | None = None
    channel: str | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A delivery asked for; `obstacle` is why it is not sent once more, if something is in the way."""

    id: UUID
    state: str
    subscriber: str
    channel: str
    event_id: UUID
    obstacle: str | None


async def candidates(connection: Connection, wanted: Wanted, *, limit: int) -> list[Candidate]:
    """Find the latest delivery of each event and subscription that is asked for."""
    rows = await connection.fetch(_sql.candidates, *astuple(wanted), limit)
    return [Candidate(**dict(row)) for row in rows]


async def replay(connection: Connection, delivery_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Owe final deliveries once more; return the new id of each old one.

    Two operators at once make one replay, not two: the number is unique.
    """
    await connection.fetch(_sql.hold, delivery_ids)
    rows = await connection.fetch(_sql.replay, delivery_ids)
    await connection.execute(_sql.wake_senders)
    return {row["replay_of"]: row["id"] for row in rows}


async def retry_now(connection: Connection, delivery_id: UUID) -> bool:
    """Make a waiting delivery due, and its endpoint's breaker let it through; False if it does not wait.

    What waits for a digest goes by itself; it is pending before and after, so that is False, too.
    """
    await connection.execute(_sql.not_with_digest, delivery_id)
    subscription = await connection.fetchval(_sql.retry_now, delivery_id)
    if subscription is None:
        await connection.execute(_sql.wake_senders)
        return False
    await connection.execute(_sql.probe_now, subscription)
    await connection.execute(_sql.wake_senders)
    return True
