"""What every command shares: settings, the way to the database, output, and errors as sentences."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import asyncpg
import typer
import uvloop
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from services.domain.problems import Invalid
from services.embedded.data_dir import Running, find_running, kept_secret
from services.embedded.postgres import embedded_postgres
from services.publisher.client import PublisherUnavailable, PublishRefused
from services.runtime.database import UNAVAILABLE, Pool, open_pool
from services.runtime.settings import ConfigError, Settings, read_settings
from services.runtime.web.problems import Refused
from services.storage.migrate import SchemaTooOld, check

T = TypeVar("T")
_THREADS = 64
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Data = Annotated[str | None, typer.Option("--data", metavar="DIR", help="The data directory of `up`.")]


class Failed(Exception):
    """The command could not do what was asked; the text says why, and what to do."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command; print what went wrong as a sentence and exit 1."""
    try:
        with asyncio.Runner(loop_factory=_loop) as runner:
            return runner.run(work)
    except (Failed, ConfigError, SchemaTooOld, PublishRefused, PublisherUnavailable, Invalid) as error:
        sentence = str(error)
    except Refused as refused:
        sentence = refused.detail
    except KafkaError as error:
        sentence = f"Kafka cannot be worked with: {error}"
    except UNAVAILABLE as error:
        sentence = f"the database cannot be reached: {error or type(error).__name__}"
    except asyncpg.PostgresError as error:
        sentence = f"the database refused: {error}"
    typer.echo(f"omroeper: {sentence}", err=True)
    raise typer.Exit(1)


def _loop() -> asyncio.AbstractEventLoop:
    loop = uvloop.new_event_loop()
    # names are looked up in threads; a few dead name servers must not keep the others waiting
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="omroeper"))
    return loop


def settings_for(data: str | None) -> tuple[Settings, Running | None]:
    """Read the settings, and find the `omroeper up` of the data directory if one runs."""
    settings = read_settings(data_dir=data)
    return settings, find_running(Path(settings.data_dir))


@asynccontextmanager
async def database(data: str | None) -> AsyncIterator[tuple[Pool, Settings]]:
    """Open the database: the one set, that of a running `up`, or that of a stopped one.

    The settings given are complete with the keys and addresses of the data directory.
    """
    settings, running = settings_for(data)
    directory = Path(settings.data_dir)
    if not settings.secret_key and (directory / "secret_key").exists():
        settings = replace(settings, secret_key=kept_secret(directory, "secret_key"))
    if running and not settings.kafka_bootstrap_servers:
        settings = replace(settings, kafka_bootstrap_servers=running.kafka_bootstrap_servers)
    async with _dsn(settings, running, directory) as dsn, open_pool(dsn, size=4) as pool:
        async with pool.acquire() as connection:
            await check(connection)
        yield pool, replace(settings, database_url=dsn)


@asynccontextmanager
async def _dsn(settings: Settings, running: Running | None, directory: Path) -> AsyncIterator[str]:
    if settings.database_url:
        yield settings.database_url
    elif running:
        yield running.database_url
    elif (directory / "postgres").exists():
        async with embedded_postgres(directory / "postgres") as dsn:
            yield dsn
    else:
        raise Failed(
            f"there is no database: nothing is in {directory}, and OMROEPER_DATABASE_URL is not set. "
            "Start one with `omroeper up`, or say where it is"
        )


def show(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows as a table; wide when nobody's terminal limits it."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    grid = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    console.print(grid)


def _cell(value: Any) -> str:
    if value is None:
        return "—"
    text = value.astimezone().strftime("%Y-%m-%d %H:%M:%S") if hasattr(value, "astimezone") else str(value)
    return text.replace("[", "\\[")


def pairs(values: Mapping[str, Any]) -> None:
    """Print names and values, one a line."""
    width = max(len(name) for name in values)
    for name, value in values.items():
        typer.echo(f"{name:<{width}}  {_cell(value)}".replace("\\[", "["))
