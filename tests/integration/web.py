"""Our HTTP services on a free port of the loopback, in the test's own loop, and a client that asks them."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from fastapi import APIRouter
from multidict import CIMultiDictProxy

from services.dispatcher import service as dispatcher
from services.domain.event import BATCH, STRUCTURED
from services.publisher import service as publisher
from services.publisher.relay import Relay
from services.runtime.database import Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.runtime.web.app import make_app
from services.runtime.web.auth import Guard, new_key
from services.runtime.web.server import listen_on, serve
from services.storage import api_keys
from services.storage.readiness import database_readiness
from services.subscribers import service as subscribers
from tests.rig.process import free_port
from tests.rig.samples import SOURCE

KEY = "omr_bootstrap-key-of-the-tests"
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Answer:
    """One answer: `body` is the JSON it holds, or its text."""

    status: int
    headers: CIMultiDictProxy[str]
    body: Any

    @property
    def pointers(self) -> list[str]:
        """Where the problems are."""
        return [error["pointer"] for error in self.body["errors"]]


class Api:
    """Asks a service; with the key that may do everything, unless said otherwise."""

    def __init__(self, url: str, session: aiohttp.ClientSession, settings: Settings) -> None:
        self.url, self.settings = url, settings
        self._session = session

    async def ask(
        self,
        method: str,
        path: str,
        *,
        key: str | None = KEY,
        headers: dict[str, str] | None = None,
        data: Any = None,
    ) -> Answer:
        """Send a request as it is given; a key of None is left out."""
        sent = {**({"Authorization": f"Bearer {key}"} if key is not None else {}), **(headers or {})}
        skipped = [] if data is None else ["Content-Type"]
        async with self._session.request(
            method, self.url + path, headers=sent, data=data, skip_auto_headers=skipped
        ) as response:
            raw = await response.read()
            is_json = "json" in response.content_type
            return Answer(
                response.status, response.headers, json.loads(raw) if is_json and raw else raw.decode()
            )

    async def get(self, path: str, **more: Any) -> Answer:
        """GET."""
        return await self.ask("GET", path, **more)

    async def post(self, data: Any, content_type: str = "application/json", **headers: str) -> Answer:
        """Post to `/v1/events`: bytes as they are, anything else as JSON; `ce_id` becomes `ce-id`."""
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("POST", "/v1/events", headers={"Content-Type": content_type, **named}, data=raw)

    async def publish(self, event: dict[str, Any]) -> Answer:
        """Post a CloudEvent in structured mode."""
        return await self.post(event, STRUCTURED)

    async def publish_batch(self, events: Any) -> Answer:
        """Post a batch."""
        return await self.post(events, BATCH)


@asynccontextmanager
async def serving(
    pool: Pool, *, whole: bool = False, more: Sequence[APIRouter] = (), **settings: Any
) -> AsyncIterator[Api]:
    """Serve the publisher, or with `whole` all that `omroeper up` serves under `/v1`; and what is `more`."""
    chosen = Settings(
        **{"port": free_port(), "secret_key": "k" * 32, "event_source": SOURCE, "api_key": KEY, **settings}
    )
    routers = [*_routers(pool, chosen, whole=whole), *more]
    app = make_app("Omroeper", routers, database_readiness(pool))
    stop = asyncio.Event()
    served = asyncio.create_task(serve(app, listen_on(chosen), stop))
    connector = aiohttp.TCPConnector(limit=0)
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Api(f"http://127.0.0.1:{chosen.port}", session, chosen)
    finally:
        stop.set()
        await served


def _routers(pool: Pool, settings: Settings, *, whole: bool) -> Sequence[APIRouter]:
    guard = Guard(api_keys.finder(pool), bootstrap_key=settings.api_key)
    ours = publisher.routers(pool, guard, settings, Relay(pool, settings))
    if not whole:
        return ours
    others = subscribers.routers(pool, Vault(settings), guard, settings)
    return [*ours, *dispatcher.routers(pool, guard), *others]


async def add_key(pool: Pool, *scopes: str) -> str:
    """Make a key with these scopes."""
    key = new_key()
    async with pool.acquire() as connection:
        await api_keys.add(connection, "a key of the tests", key, scopes)
    return key


async def count_events(pool: Pool) -> int:
    """Count what was accepted."""
    found: int = await pool.fetchval("SELECT count(*) FROM events")
    return found
