"""Runs work in a transaction, and again when another transaction stood in its way."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from services.runtime.database import Connection, Pool

_TRIES = 4
_T = TypeVar("_T")


async def transact(pool: Pool, work: Callable[[Connection], Awaitable[_T]]) -> _T:
    """Do the work in one transaction, and once more on a deadlock: planners and senders hold many rows.

    The work must have no effect outside the database. The last deadlock is raised.
    """
    for _ in range(_TRIES - 1):
        try:
            return await _once(pool, work)
        except asyncpg.DeadlockDetectedError:
            continue
    return await _once(pool, work)


async def _once(pool: Pool, work: Callable[[Connection], Awaitable[_T]]) -> _T:
    async with pool.acquire() as connection, connection.transaction():
        return await work(connection)
