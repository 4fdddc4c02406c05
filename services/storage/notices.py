"""Notices: what the people of a subscriber have to be told by another way than the one that stopped."""

from uuid import UUID

import asyncpg

from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)


async def take(connection: Connection, *, limit: int) -> list[asyncpg.Record]:
    """Take the notices that are due, until the caller's transaction ends; others leave them alone."""
    return await connection.fetch(_sql.take, limit)


async def settle(connection: Connection, notice_id: UUID, outcome: str) -> None:
    """Note what became of a notice; it is not due any more."""
    await connection.execute(_sql.settle, notice_id, outcome)
