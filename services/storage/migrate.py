"""Brings the schema up to date: numbered files, forward only, each in its own transaction."""

from pathlib import Path

import asyncpg

from services.runtime.database import Connection

MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK = 0x6F6D726F  # 'omro': one migrator at a time


class SchemaTooOld(Exception):
    """The database lacks migrations that this program needs."""


def available() -> list[tuple[int, Path]]:
    """List the migrations as (number, file), in order."""
    return sorted((int(path.name[:4]), path) for path in MIGRATIONS.glob("[0-9]*.sql"))


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing; return the names applied. Idempotent, and safe when run twice at once."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        done = await _applied(connection)
        todo = [(n, path.stem, path.read_text("utf-8")) for n, path in available() if n not in done]
        return [await _apply(connection, *migration) for migration in todo]
    finally:
        await connection.close()


async def check(connection: Connection) -> None:
    """Raise `SchemaTooOld` when the database lacks a migration."""
    known = await connection.fetchval("SELECT to_regclass('migrations') IS NOT NULL")
    done = await connection.fetch("SELECT number FROM migrations") if known else []
    if {number for number, _ in available()} - {row["number"] for row in done}:
        raise SchemaTooOld("the database is older than this program; run `omroeper migrate` first")


async def _applied(connection: "asyncpg.Connection[asyncpg.Record]") -> set[int]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (number integer PRIMARY KEY, name text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
    )
    return {row["number"] for row in await connection.fetch("SELECT number FROM migrations")}


async def _apply(
    connection: "asyncpg.Connection[asyncpg.Record]", number: int, name: str, statements: str
) -> str:
    async with connection.transaction():
        await connection.execute(statements)
        await connection.execute("INSERT INTO migrations (number, name) VALUES ($1, $2)", number, name)
    return name
