"""Everything in one process on one machine: what `omroeper up` runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from os import getpid
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from services.dispatcher import service as dispatcher
from services.dispatcher.planner import Assigned
from services.embedded import data_dir, pages
from services.embedded.broker import embedded_broker
from services.embedded.data_dir import Running
from services.embedded.mailbox import Mailbox, Moods, catch_mail
from services.embedded.postgres import embedded_postgres
from services.embedded.receivers import Receivers
from services.publisher import service as publisher
from services.publisher.relay import Relay
from services.runtime.database import Pool, open_pool
from services.runtime.listen import listen
from services.runtime.parts import run_together
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.runtime.web.app import make_app
from services.runtime.web.auth import Guard
from services.runtime.web.server import listen_on, serve
from services.storage import api_keys, events
from services.storage.migrate import migrate
from services.storage.readiness import database_readiness
from services.subscribers import service as subscribers

LOOPBACK = "127.0.0.0/8"
_DEFAULT_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Demo:
    """What a demonstration adds: receivers, and the moods of its mailboxes."""

    receivers: Receivers
    moods: Moods


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine's parts, started: what runs on them is up to the caller."""

    settings: Settings
    pool: Pool
    vault: Vault
    app: FastAPI
    relay: Relay
    catches_mail: bool
    assigned: Assigned


#: Runs beside everything else until the event is set.
Beside = Callable[[Machine, asyncio.Event], Coroutine[Any, Any, None]]


@asynccontextmanager
async def machine(settings: Settings, demo: Demo | None = None) -> AsyncIterator[Machine]:
    """Start the parts that the settings leave to us: database, broker, mail catcher.

    The data directory is ours alone meanwhile. Raises `ConfigError` when a part cannot start.
    """
    directory = Path(settings.data_dir)
    data_dir.prepare(directory)
    async with AsyncExitStack() as stack:
        stack.enter_context(data_dir.only_one(directory))
        settings = _with_keys(settings, directory)
        settings = await _with_database(settings, directory, stack)
        forgetful = not settings.kafka_bootstrap_servers
        settings = await _with_broker(settings, stack)
        mailbox, settings = await _with_mail(settings, directory, demo, stack)
        pool = await stack.enter_async_context(open_pool(settings.database_url, size=settings.pool_size))
        if forgetful:
            async with pool.acquire() as connection:
                await events.relay_now(connection)
        yield _machine(settings, pool, mailbox, demo)


async def run_machine(on: Machine, stop: asyncio.Event, *beside: Beside) -> None:
    """Serve, relay, dispatch until `stop`; tell the commands beside us how to reach us."""
    settings = on.settings
    listening = listen_on(settings)
    running = Running(
        getpid(),
        settings.public_url,
        settings.database_url,
        settings.kafka_bootstrap_servers,
        settings.api_key,
    )
    with data_dir.announced(Path(settings.data_dir), running):
        await run_together(
            stop,
            serve(on.app, listening, stop),
            on.relay.run(stop),
            listen(settings.database_url, "events_accepted", on.relay.wake, stop),
            dispatcher.run_dispatcher(on.pool, settings, stop, on.assigned),
            subscribers.run_lmtp(on.pool, settings, stop),
            *(part(on, stop) for part in beside),
        )


def _with_keys(settings: Settings, directory: Path) -> Settings:
    url = settings.public_url
    return replace(
        settings,
        api_key=settings.api_key or data_dir.kept_secret(directory, "api_key"),
        secret_key=settings.secret_key or data_dir.kept_secret(directory, "secret_key"),
        public_url=f"http://127.0.0.1:{settings.port}" if url == _DEFAULT_URL else url,
    )


async def _with_database(settings: Settings, directory: Path, stack: AsyncExitStack) -> Settings:
    if not settings.database_url:
        dsn = await stack.enter_async_context(embedded_postgres(directory / "postgres"))
        settings = replace(settings, database_url=dsn)
    await migrate(settings.database_url)
    return settings


async def _with_broker(settings: Settings, stack: AsyncExitStack) -> Settings:
    if settings.kafka_bootstrap_servers:
        return settings
    address = await stack.enter_async_context(embedded_broker(settings))
    return replace(settings, kafka_bootstrap_servers=address)


async def _with_mail(
    settings: Settings, directory: Path, demo: Demo | None, stack: AsyncExitStack
) -> tuple[Mailbox | None, Settings]:
    if settings.smtp_url:
        return None, settings
    mailbox = Mailbox(directory / "mails", demo.moods if demo else lambda _: None)
    url = await stack.enter_async_context(catch_mail(mailbox))
    return mailbox, replace(settings, smtp_url=url)


def _machine(settings: Settings, pool: Pool, mailbox: Mailbox | None, demo: Demo | None) -> Machine:
    vault, relay = Vault(settings), Relay(pool, settings)
    guard = Guard(api_keys.finder(pool), bootstrap_key=settings.api_key)
    receivers = demo.receivers if demo else None
    routers = [
        *publisher.routers(pool, guard, settings, relay),
        *dispatcher.routers(pool, guard),
        *subscribers.routers(pool, vault, guard, settings),
        *([pages.router(pool, mailbox, receivers)] if mailbox and _is_loopback(settings.host) else ()),
        *([receivers.router()] if receivers else ()),
    ]
    app = make_app("Omroeper", routers, database_readiness(pool))
    return Machine(settings, pool, vault, app, relay, catches_mail=mailbox is not None, assigned=Assigned())


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (host[:1].isdigit() and ip_address(host).is_loopback) or host == "::1"
