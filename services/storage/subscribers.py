"""Subscribers: the organisations that are told. One that ends is kept, for the records."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.domain.subscriber import SubscriberIn
from services.runtime.database import Connection
from services.storage import queries, subscriptions

_sql = queries.load(__file__)
Row = asyncpg.Record
_CLOCK = {"timezone", "digest_hour", "digest_weekday"}


async def add(connection: Connection, new: SubscriberIn) -> UUID | None:
    """Add a subscriber; None when the slug is taken, if only by one that has ended."""
    values = (new.slug, new.name, new.kind, new.region, new.language, new.contact)
    when = (new.timezone, new.digest_hour, new.digest_weekday, new.reminder_days)
    added: UUID | None = await connection.fetchval(_sql.add, *values, *when)
    return added


async def get(connection: Connection, slug: str) -> Row | None:
    """Find a subscriber that has not ended."""
    return await connection.fetchrow(_sql.get, slug)


async def known(connection: Connection, slugs: Sequence[str]) -> dict[str, Row]:
    """Find those who have these slugs, the ended ones too; keep them from ending meanwhile."""
    return {row["slug"]: row for row in await connection.fetch(_sql.known, slugs)}


async def page(
    connection: Connection, *, text: str | None, kind: str | None, after: UUID | None, limit: int
) -> list[Row]:
    """List subscribers, oldest first; None leaves a criterion open."""
    return await connection.fetch(_sql.page, text, kind, after, limit)


async def hold(connection: Connection, slug: str) -> Row | None:
    """Find a subscriber (id and language), and keep it from ending until this transaction does."""
    return await connection.fetchrow(_sql.hold, slug)


async def change(connection: Connection, slug: str, values: Mapping[str, Any]) -> bool:
    """Change the named columns; False when there is no such subscriber.

    Another clock, hour or weekday also counts for what waits for a digest already.
    """
    changed = await connection.fetchval(_sql.change, slug, dict(values))
    if changed is not None and _CLOCK & values.keys():
        await connection.execute(_sql.gather_anew, changed)
    return changed is not None


async def import_turn(connection: Connection) -> None:
    """Wait for other imports to end, and keep new ones waiting until this transaction does."""
    await connection.execute(_sql.import_turn)


async def end(connection: Connection, slug: str, reason: str) -> bool:
    """End a subscriber with all its subscriptions, and cancel what they are owed; False if there is none.

    Runs in the caller's transaction.
    """
    subscriber_id = await connection.fetchval(_sql.lock_to_end, slug)
    if subscriber_id is None:
        return False
    for row in await subscriptions.of_subscriber(connection, subscriber_id):
        await subscriptions.end(connection, row["id"], reason)
    await connection.execute(_sql.end, subscriber_id)
    return True
