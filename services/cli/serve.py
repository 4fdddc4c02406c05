"""`omroeper serve`: one service, its own process and port."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from fastapi import APIRouter

from services.cli.context import Failed, run
from services.dispatcher import service as dispatcher
from services.publisher import service as publisher
from services.publisher.relay import Relay
from services.runtime import logs
from services.runtime.database import Pool, open_pool
from services.runtime.listen import listen
from services.runtime.parts import run_together, stop_on_signals
from services.runtime.settings import Settings, read_settings
from services.runtime.vault import Vault
from services.runtime.web.app import make_app
from services.runtime.web.auth import Guard
from services.runtime.web.server import listen_on, serve
from services.storage import api_keys
from services.storage.migrate import check
from services.storage.readiness import database_readiness
from services.subscribers import service as subscribers

serve_app = typer.Typer(no_args_is_help=True, help="Run one service; SIGTERM stops it cleanly.")
Port = Annotated[int | None, typer.Option(help="Port to listen on.")]
Work = Callable[[Pool, Settings, Guard, asyncio.Event], Awaitable[None]]


@serve_app.command("publisher")
def serve_publisher(port: Port = None) -> None:
    """Take events in, and hand them to Kafka."""
    _serve(_publisher, port, "database_url", "kafka_bootstrap_servers")


@serve_app.command("dispatcher")
def serve_dispatcher(port: Port = None) -> None:
    """Plan who is owed what, and send it."""
    _serve(_dispatcher, port, "database_url", "kafka_bootstrap_servers", "smtp_url", "secret_key")


@serve_app.command("subscribers")
def serve_subscribers(port: Port = None) -> None:
    """Keep the registry, let people unsubscribe, and take in what comes back about mails."""
    _serve(_subscribers, port, "database_url", "secret_key")


@serve_app.command("dashboard")
def serve_dashboard(port: Port = None) -> None:
    """Show operators what went where."""
    run(_no_dashboard())


async def _no_dashboard() -> None:
    raise Failed(
        "there is no dashboard yet; `omroeper events show ID` and GET /v1/events/ID show the same ledger"
    )


def _serve(work: Work, port: int | None, *needed: str) -> None:
    run(_run(work, port, needed))


async def _run(work: Work, port: int | None, needed: tuple[str, ...]) -> None:
    settings = read_settings(port=port)
    settings.need(*needed)
    logs.set_up(settings)
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with open_pool(settings.database_url, size=settings.pool_size) as pool:
        async with pool.acquire() as connection:
            await check(connection)
        await work(pool, settings, Guard(api_keys.finder(pool), bootstrap_key=settings.api_key), stop)


async def _http(
    title: str, routers: "list[APIRouter]", pool: Pool, settings: Settings, stop: asyncio.Event
) -> None:
    app = make_app(title, routers, database_readiness(pool))
    # what has been made by now stays; going through all of it again halts every request for tens of ms
    gc.freeze()
    await serve(app, listen_on(settings), stop)


async def _publisher(pool: Pool, settings: Settings, guard: Guard, stop: asyncio.Event) -> None:
    relay = Relay(pool, settings)
    routers = list(publisher.routers(pool, guard, settings, relay))
    await run_together(
        stop,
        _http("Omroeper publisher", routers, pool, settings, stop),
        relay.run(stop),
        listen(settings.database_url, "events_accepted", relay.wake, stop),
    )


async def _dispatcher(pool: Pool, settings: Settings, guard: Guard, stop: asyncio.Event) -> None:
    await run_together(
        stop,
        _http("Omroeper dispatcher", list(dispatcher.routers(pool, guard)), pool, settings, stop),
        dispatcher.run_dispatcher(pool, settings, stop),
    )


async def _subscribers(pool: Pool, settings: Settings, guard: Guard, stop: asyncio.Event) -> None:
    routers = list(subscribers.routers(pool, Vault(settings), guard, settings))
    await run_together(
        stop,
        _http("Omroeper subscribers", routers, pool, settings, stop),
        subscribers.run_lmtp(pool, settings, stop),
    )
