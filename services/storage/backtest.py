"""Back-tests: what a filter would have found lately, before anybody depends on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from services.domain.event import EventType
from services.domain.matching import Filter
from services.runtime.database import Connection
from services.storage import queries
from services.storage.subscriptions import columns

_sql = queries.load(__file__)
Row = asyncpg.Record
_WHOLE = (EventType.PUBLISHED, EventType.UPDATED)


@dataclass(frozen=True, slots=True)
class Found:
    """What a filter found: how many opportunities, and the newest of them.

    `began` is when the first opportunity of the period came, whoever wanted it; None when there was none.
    """

    count: int
    newest: Sequence[Row]
    began: datetime | None


async def run(connection: Connection, wanted: Filter, since: datetime, *, shown: int) -> Found:
    """Tell what a filter would have found since an instant, by the very rule of the planner."""
    types = [str(kind) for kind in _WHOLE if not wanted.types or kind in wanted.types]
    _, _, *criteria = columns(wanted)
    rows = await connection.fetch(_sql.found, since, types, *criteria, shown) if types else []
    began = await connection.fetchval(_sql.began, since)
    return Found(rows[0]["count"] if rows else 0, rows, began)


async def unseen(connection: Connection, wanted: Filter) -> dict[str, list[str]]:
    """List, by criterion, the values of a filter that no opportunity ever had."""
    found: dict[str, list[str]] = {}
    values = (wanted.themes, wanted.audience, wanted.procedures, wanted.cpv, wanted.regions)
    for row in await connection.fetch(_sql.unseen, *values):
        found.setdefault(row["criterion"], []).append(row["value"])
    return found


async def known_themes(connection: Connection, since: datetime, *, most: int) -> list[str]:
    """List the themes that opportunities had, most used first."""
    return [row["theme"] for row in await connection.fetch(_sql.known_themes, since, most)]
