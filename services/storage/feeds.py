"""The feeds: the stream of events, the opportunities as they stand in it, and who reads their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)
_APPENDED_AT_ONCE = 5_000
Row = asyncpg.Record


@dataclass(frozen=True, slots=True)
class Head:
    """Where the stream ends; position 0 and no instant when it has not begun."""

    position: int
    appended_at: datetime | None


async def append_new(connection: Connection) -> datetime:
    """Append the events that were planned; return an instant after which any other is stamped.

    Cheap when there is nothing new. Commits by itself, so call it outside a transaction. Idempotent,
    and safe when many do it at once.
    """
    # null while anything waits
    while (at := await connection.fetchval(_sql.nothing_waits)) is None:
        async with connection.transaction():
            await connection.execute(_sql.append_turn)
            added = await connection.fetch(_sql.append, _APPENDED_AT_ONCE)
            await connection.execute(_sql.redraw, [member["position"] for member in added])
    asked_at: datetime = at
    return asked_at


async def head(connection: Connection) -> Head:
    """Find where the stream ends."""
    row = await connection.fetchrow(_sql.head)
    return Head(row["position"], row["appended_at"]) if row else Head(0, None)


async def subscriber(connection: Connection, token_hash: bytes) -> UUID | None:
    """Find whose token it is; None when it is unknown or was replaced, or its subscriber has ended."""
    found: UUID | None = await connection.fetchval(_sql.subscriber, token_hash)
    return found


async def filters(connection: Connection, subscriber_id: UUID) -> list[str]:
    """List the filters of a subscriber's active subscriptions, as JSON, in a fixed order."""
    return [row["filter"] for row in await connection.fetch(_sql.filters, subscriber_id)]


async def set_token(connection: Connection, subscriber_id: UUID, token_hash: bytes, sealed: bytes) -> None:
    """Give a subscriber a token; the one it had is unknown from now on."""
    await connection.execute(_sql.set_token, subscriber_id, token_hash, sealed)


async def newest(connection: Connection, reader: UUID | None, *, before: int | None, limit: int) -> list[Row]:
    """List opportunities, last changed first; a reader of None reads everything."""
    return await connection.fetch(_sql.newest, reader, before, limit)


async def following(connection: Connection, reader: UUID | None, *, after: int, limit: int) -> list[Row]:
    """List opportunities that changed after a position, in that order."""
    return await connection.fetch(_sql.following, reader, after, limit)


async def deadlines(connection: Connection, reader: UUID | None, *, since: datetime, limit: int) -> list[Row]:
    """List opportunities by deadline, soonest first, from an instant on."""
    return await connection.fetch(_sql.deadlines, reader, since, limit)


async def members(connection: Connection, reader: UUID | None, first: int, last: int) -> list[Row]:
    """List the members of the stream from one position to another, both included."""
    return await connection.fetch(_sql.members, reader, first, last)


async def member(connection: Connection, event_id: UUID) -> Row | None:
    """Find one member of the stream."""
    return await connection.fetchrow(_sql.member, event_id)


async def stamps(connection: Connection, positions: Sequence[int]) -> dict[int, datetime]:
    """Tell when the members at these positions were appended; a position without a member is left out."""
    rows = await connection.fetch(_sql.stamps, positions)
    return {row["position"]: row["appended_at"] for row in rows}
