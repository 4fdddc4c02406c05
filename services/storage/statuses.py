"""The changes of deliveries that `delivery-status` still has to be told."""

from collections.abc import Sequence

import asyncpg

from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)


async def lock(connection: Connection) -> bool:
    """Become the one that tells, for as long as this connection lives; False when another is."""
    mine: bool = await connection.fetchval(_sql.lock)
    return mine


async def waiting(connection: Connection, limit: int = 500) -> list[asyncpg.Record]:
    """Read the oldest changes not told yet."""
    return await connection.fetch(_sql.waiting, limit)


async def told(connection: Connection, ids: Sequence[int]) -> None:
    """Forget changes that Kafka has."""
    await connection.execute(_sql.told, ids)
