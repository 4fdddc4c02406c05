"""The ledger: for an event who was owed it and how each stands, for a delivery its attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from services.domain.reason import explain
from services.runtime.database import Connection
from services.runtime.language import SOURCE, speech
from services.storage import queries

_sql = queries.load(__file__)
Row = asyncpg.Record


@dataclass(frozen=True, slots=True)
class Which:
    """Which deliveries to list; None leaves a criterion open."""

    event: UUID | None = None
    subscriber: str | None = None
    channel: str | None = None
    state: str | None = None


async def event(connection: Connection, event_id: UUID) -> Row | None:
    """Find an event."""
    return await connection.fetchrow(_sql.event, event_id)


async def events_page(connection: Connection, *, before: UUID | None, limit: int) -> list[Row]:
    """List events, newest first."""
    return await connection.fetch(_sql.events_page, before, limit)


async def matched(connection: Connection, event_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Count the subscriptions that each event was owed to."""
    rows = await connection.fetch(_sql.matched, event_ids)
    return {row["event_id"]: row["matched"] for row in rows}


async def counts(connection: Connection, event_id: UUID) -> list[Row]:
    """Count an event's deliveries by channel and state."""
    return await connection.fetch(_sql.counts, event_id)


async def came_back(connection: Connection, event_id: UUID) -> dict[str, int]:
    """Count an event's sent deliveries that came back later, by kind: each once, by the gravest."""
    return {row["kind"]: row["count"] for row in await connection.fetch(_sql.came_back, event_id)}


async def deliveries_page(
    connection: Connection, which: Which, *, cursor: UUID | None, limit: int, oldest_first: bool = False
) -> list[Row]:
    """List deliveries, a page at a time; the next page begins after the last id."""
    return await connection.fetch(
        _sql.deliveries_page,
        which.event,
        which.subscriber,
        which.channel,
        which.state,
        cursor,
        oldest_first,
        limit,
    )


async def delivery(connection: Connection, delivery_id: UUID) -> Row | None:
    """Find a delivery."""
    return await connection.fetchrow(_sql.delivery, delivery_id)


async def attempts(connection: Connection, delivery_id: UUID) -> list[Row]:
    """List a delivery's attempts, first to last."""
    return await connection.fetch(_sql.attempts, delivery_id)


async def receipts(connection: Connection, delivery_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """List what came back later about deliveries, first to last; those without are left out."""
    found: dict[UUID, list[dict[str, Any]]] = {}
    for row in await connection.fetch(_sql.receipts, delivery_ids):
        receipt = {name: row[name] for name in ("kind", "at", "status")}
        found.setdefault(row["delivery_id"], []).append(receipt)
    return found


def delivery_json(row: Any) -> dict[str, Any]:
    """Write a delivery for the API: `reason` is why it is owed, `detail` why it stands as it does."""
    return {
        "id": str(row["id"]),
        "event": str(row["event_id"]),
        "subscriber": row["subscriber"],
        "subscription": str(row["subscription_id"]),
        "channel": row["channel"],
        "state": row["state"],
        "attempts": row["attempts"],
        "next_attempt_at": row["next_attempt_at"],
        "reason": explain(row["match"], speech(SOURCE)),
        "detail": row["reason"],
        "created_at": row["created_at"],
        "settled_at": row["settled_at"],
        "replay": row["replay"],
        "replay_of": row["replay_of"] and str(row["replay_of"]),
    }


async def delivery_in_full(connection: Connection, delivery_id: UUID) -> dict[str, Any] | None:
    """Write a delivery with its attempts, of a digest those of the mail it went with, and what came back."""
    row = await delivery(connection, delivery_id)
    if row is None:
        return None
    tried = await attempts(connection, delivery_id)
    returned = await receipts(connection, [delivery_id])
    return {
        **delivery_json(row),
        "expires_at": row["expires_at"],
        "attempt_count": row["attempts"],
        "attempts": [dict(attempt) for attempt in tried],
        "receipts": returned.get(delivery_id, []),
    }


def next_cursor(rows: Sequence[Any], limit: int) -> str | None:
    """Tell where the next page begins; None when this was the last."""
    return str(rows[-1]["id"]) if len(rows) == limit else None
