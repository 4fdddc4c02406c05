"""The database pool, and what counts as the database being away."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection

#: Worth waiting for: the server is stopping, starting, gone, full, or out of connections.
UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InternalClientError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)

log = logging.getLogger(__name__)


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog", format="text"
    )


async def _connect(dsn: str, size: int) -> Pool:
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        init=_prepare,
        command_timeout=60,
        timeout=10,
        server_settings={"application_name": "omroeper"},
    )


@asynccontextmanager
async def open_pool(dsn: str, *, size: int = 10) -> AsyncIterator[Pool]:
    """Open a pool of at most `size` connections; statements end after a minute.

    A database that is not there yet is waited for, for a minute; then its error is raised.
    """
    waiting = AsyncRetrying(
        retry=retry_if_exception_type(UNAVAILABLE),
        wait=wait_fixed(1),
        stop=stop_after_delay(60),
        before_sleep=lambda state: log.warning("waiting for the database (try %d)", state.attempt_number),
        reraise=True,
    )
    pool: Pool = await waiting(_connect, dsn, size)
    try:
        yield pool
    finally:
        await _close(pool)


async def _close(pool: Pool) -> None:
    try:
        await pool.close()
    except UNAVAILABLE:
        pool.terminate()
