"""Sessions: the links by which people sign in, how often they may ask for one, and who is signed in.

Tokens are kept as hashes only. What is over is forgotten by whoever asks next.
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)
Row = asyncpg.Record

LINK_LASTS = timedelta(minutes=15)
IDLE_LASTS = timedelta(days=14)
SESSION_LASTS = timedelta(days=30)


async def count_in(connection: Connection, limits: Mapping[str, int]) -> bool:
    """Count an attempt to sign in; False when any of its limits within this hour is reached already.

    `limits` says how many attempts each who may make. Runs in the caller's transaction.
    """
    await connection.execute(_sql.turn)
    await connection.execute(_sql.forget)
    counted: bool = await connection.fetchval(_sql.count_in, list(limits), list(limits.values()))
    return counted


async def add_link(connection: Connection, token_hash: bytes, email: str) -> None:
    """Keep a link that signs this address in, once, within `LINK_LASTS`."""
    await connection.execute(_sql.add_link, token_hash, email.lower(), LINK_LASTS.total_seconds())


async def link(connection: Connection, token_hash: bytes) -> str | None:
    """Tell whose link it is; None when it is unknown, was used or has expired. Changes nothing."""
    email: str | None = await connection.fetchval(_sql.link, token_hash)
    return email


async def sign_in(connection: Connection, link_hash: bytes, session_hash: bytes) -> str | None:
    """Use a link up for a new session; gives the address, None when the link does not work (any more).

    Runs in the caller's transaction.
    """
    email: str | None = await connection.fetchval(_sql.take_link, link_hash)
    if email is not None:
        await connection.execute(_sql.add, session_hash, email, IDLE_LASTS.total_seconds())
    return email


async def find(connection: Connection, token_hash: bytes) -> Row | None:
    """Find a live session; its subscriber's columns are null where none is chosen, or it may no longer be."""
    return await connection.fetchrow(_sql.find, token_hash)


async def extend(connection: Connection, token_hash: bytes) -> None:
    """Let a session that is in use last longer, until `SESSION_LASTS` after it began."""
    await connection.execute(
        _sql.extend, token_hash, IDLE_LASTS.total_seconds(), SESSION_LASTS.total_seconds()
    )


async def choose(connection: Connection, token_hash: bytes, subscriber_id: UUID) -> bool:
    """Go on for a subscriber; False when the session's address may not sign in for it."""
    return await connection.fetchval(_sql.choose, token_hash, subscriber_id) is not None


async def end(connection: Connection, token_hash: bytes) -> None:
    """End a session. Idempotent."""
    await connection.execute(_sql.end, token_hash)


async def end_all(connection: Connection, email: str) -> None:
    """End every session of an address."""
    await connection.execute(_sql.end_all, email.lower())


async def speak(connection: Connection, subscriber_id: UUID, email: str, language: str) -> None:
    """Keep the language in which a person of a subscriber reads; nothing for somebody who is none."""
    await connection.execute(_sql.speak, subscriber_id, email.lower(), language)
