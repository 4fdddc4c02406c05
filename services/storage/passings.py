"""Passings: which subscribers passed an opportunity on, and what came of it; all per opportunity."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from services.domain.passing_on import Link, Told
from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)
Row = asyncpg.Record


@dataclass(frozen=True, slots=True)
class SecondHop:
    """What became of an opportunity after it was sent; `slugs` are those who passed it on."""

    slugs: frozenset[str]
    passed_on: dict[str, Any]
    proposals: dict[str, Any] | None


async def about(connection: Connection, link: Link) -> Row | None:
    """Find who may tell by a link, and of what; None when the subscriber has ended."""
    return await connection.fetchrow(_sql.about, link.subscriber_id, link.event_id)


async def tell(connection: Connection, link: Link, told: Told) -> Row | None:
    """Keep what a subscriber tells; None when it has ended. Idempotent; the same way again corrects."""
    return await connection.fetchrow(
        _sql.tell, link.subscriber_id, link.event_id, str(told.way), told.startups, link.door.name.lower()
    )


async def told(connection: Connection, subscriber_id: UUID, subject: str) -> list[Row]:
    """List what a subscriber told of an opportunity, first to last."""
    return await connection.fetch(_sql.told, subscriber_id, subject)


async def page(
    connection: Connection, *, event: UUID | None, subscriber: str | None, cursor: UUID | None, limit: int
) -> list[Row]:
    """List what was told, newest first; an event stands for its opportunity, None leaves a criterion open."""
    return await connection.fetch(_sql.page, event, subscriber, cursor, limit)


async def second_hop(connection: Connection, subject: str) -> SecondHop:
    """Tell what became of an opportunity: who passed it on, and the proposals that came."""
    rows = await connection.fetch(_sql.by_subscriber, subject)
    outcome = await connection.fetchrow(_sql.proposals, subject)
    said = {} if outcome is None else dict(outcome)
    known = any(value is not None for value in said.values())
    passed = [row for row in rows if row["passed_on"]]
    return SecondHop(frozenset(row["slug"] for row in passed), _totals(rows, passed), said if known else None)


def _totals(rows: Sequence[Row], passed: Sequence[Row]) -> dict[str, Any]:
    return {
        "subscribers": len(passed),
        "startups": sum(row["startups"] for row in passed),
        "ways": dict(sorted(Counter(way for row in passed for way in row["ways"]).items())),
        "nobody_suited": len(rows) - len(passed),
    }
