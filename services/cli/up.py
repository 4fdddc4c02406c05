"""`omroeper up`: everything in one process, on one machine."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from services.cli.context import run
from services.embedded import data_dir
from services.embedded.demo import demo_settings, make_demo, show_demo
from services.embedded.up import Machine, machine, run_machine
from services.runtime import logs
from services.runtime.parts import stop_on_signals
from services.runtime.settings import Settings, read_settings

log = logging.getLogger("omroeper")


def up(
    data: Annotated[str | None, typer.Option("--data", metavar="DIR", help="Where to keep it.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="With example subscribers and a sample.")] = False,
) -> None:
    """Run everything in one process; Ctrl-C stops it, and what is owed is kept."""
    run(_up(read_settings(data_dir=data, port=port), demo=demo))


async def _up(settings: Settings, *, demo: bool) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    if demo:
        settings = demo_settings(settings)
        data_dir.prepare(Path(settings.data_dir))
    log_file = Path(settings.data_dir) / "omroeper.log" if demo else None
    logs.set_up(settings, log_file)
    if demo:
        typer.echo(f"Starting PostgreSQL and the rest in {settings.data_dir} …")
    async with machine(settings, make_demo() if demo else None) as on:
        await run_machine(on, stop, show_demo if demo else _tell)
    if demo:
        typer.echo("Stopped; what is owed is kept, and goes on at the next start.")


async def _tell(on: Machine, stop: asyncio.Event) -> None:
    settings = on.settings
    log.info("omroeper is up: http://%s:%d, API at /docs", settings.host, settings.port)
    if (kept := Path(settings.data_dir) / "api_key").exists():
        log.info("OMROEPER_API_KEY is not set: the key is in %s", kept)
    if on.catches_mail:
        log.info("OMROEPER_SMTP_URL is not set: mails are caught, see /demo/mails")
    await stop.wait()
