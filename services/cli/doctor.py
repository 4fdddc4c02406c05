"""`omroeper doctor`: tries everything a start needs, and says what to do about what does not work."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from aiokafka.errors import KafkaError
from aiosmtplib import SMTPException

from services.cli.context import Data, Failed, Json, database, run, settings_for, show
from services.dispatcher.mail.pool import pool_of
from services.runtime.kafka import open_producer
from services.runtime.settings import ConfigError, Settings

_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing stands."""

    what: str
    ok: bool
    detail: str


def doctor(data: Data = None, json_: Json = False) -> None:
    """Try the database, Kafka, the mail relay and the keys; say what to do about what does not work."""
    findings = run(_examine(data))
    if json_:
        show([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{'ok ' if finding.ok else 'BAD'}  {finding.what:<10} {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


async def _examine(data: str | None) -> list[Finding]:
    settings, running = settings_for(data)
    checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("database", lambda: _database(data)),
        ("kafka", lambda: _kafka(settings, running.kafka_bootstrap_servers if running else "")),
        ("mail", lambda: _mail(settings)),
        ("keys", lambda: _keys(settings, kept=(Path(settings.data_dir) / "secret_key").exists())),
        ("links", lambda: _links(settings)),
    ]
    return [await _one(what, check) for what, check in checks]


async def _one(what: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        async with asyncio.timeout(_SECONDS):
            return Finding(what, True, await check())
    except TimeoutError:
        return Finding(what, False, f"no answer within {_SECONDS:.0f} s")
    except Exception as error:
        return Finding(what, False, f"{error or type(error).__name__}")


async def _database(data: str | None) -> str:
    async with database(data) as (pool, _), pool.acquire() as connection:
        version = await connection.fetchval("SHOW server_version")
    return f"PostgreSQL {version}, schema up to date"


async def _kafka(settings: Settings, running: str) -> str:
    if not settings.kafka_bootstrap_servers:
        return "in `omroeper up`" if running else "not set: `omroeper up` brings its own"
    try:
        async with open_producer(settings):
            return f"answers at {settings.kafka_bootstrap_servers}"
    except KafkaError as error:
        raise Failed(f"no broker at {settings.kafka_bootstrap_servers} ({type(error).__name__})") from None


async def _mail(settings: Settings) -> str:
    if not settings.smtp_url:
        return "not set: `omroeper up` catches the mails"
    try:
        await pool_of(settings).try_out()
    except (SMTPException, OSError) as error:
        raise Failed(f"the relay does not take us: {error}") from None
    return "the relay answers"


async def _keys(settings: Settings, *, kept: bool) -> str:
    if not settings.secret_key:
        if kept:
            return "kept in the data directory"
        raise ConfigError("OMROEPER_SECRET_KEY is not set; `omroeper up` makes one, `serve` needs it")
    return f"{len(settings.encryption_keys)} secret key(s)"


async def _links(settings: Settings) -> str:
    if settings.public_url.startswith("https://"):
        return settings.public_url
    return f"{settings.public_url} is for trying out only; one-click unsubscribe needs https"
