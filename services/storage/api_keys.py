"""API keys: only their hashes are kept."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from services.runtime.database import Connection, Pool
from services.runtime.vault import token_hash
from services.runtime.web.auth import ApiKey, Lookup
from services.storage import queries

_sql = queries.load(__file__)


async def add(connection: Connection, name: str, key: str, scopes: Sequence[str]) -> UUID:
    """Keep a new key's hash, with what the key may do."""
    key_id: UUID = await connection.fetchval(_sql.add, name, token_hash(key), list(scopes))
    return key_id


def finder(pool: Pool) -> Lookup:
    """Make the look-up of live keys by their hash."""

    async def find(digest: bytes) -> ApiKey | None:
        async with pool.acquire() as connection:
            row = await connection.fetchrow(_sql.find, digest)
        return ApiKey(row["name"], frozenset(row["scopes"])) if row else None

    return find


async def list_all(connection: Connection) -> list[asyncpg.Record]:
    """List the keys, without what they are."""
    return await connection.fetch(_sql.list_all)


async def revoke(connection: Connection, key_id: UUID) -> bool:
    """End a key at once; False when there is no such live key."""
    return await connection.fetchval(_sql.revoke, key_id) is not None
