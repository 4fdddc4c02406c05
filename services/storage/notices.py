"""Notices: what the owner of an endpoint has to be told by another channel."""

from datetime import datetime
from uuid import UUID

import asyncpg

from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)


async def claim(connection: Connection, *, lease_seconds: float) -> list[asyncpg.Record]:
    """Borrow the notices that are due; they are due again when the lease ends unsettled."""
    return await connection.fetch(_sql.claim, lease_seconds)


async def settle(connection: Connection, notice_id: UUID, outcome: str, again_at: datetime | None) -> None:
    """Note what became of a notice, and when to try again."""
    await connection.execute(_sql.settle, notice_id, outcome, again_at)
