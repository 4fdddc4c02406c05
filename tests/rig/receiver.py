"""Receivers of webhooks: a real HTTP server that fails, hangs or hangs up as it is told."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from aiohttp import web

from services.runtime.clock import utc_now
from tests.rig.process import free_port
from tests.rig.waiting import until


@dataclass(frozen=True)
class Request:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: datetime


@dataclass(frozen=True)
class Reply:
    """What to answer; `after` holds it back until that event is set."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    after: asyncio.Event | None = None


#: What to do with a request: a status, a reply, HANG or DROP, or what makes one of these of it.
Plan = int | Reply | str | Callable[[Request], int | Reply | str]
#: Take the request and say nothing, until the server stops.
HANG = "hang"
#: Take the request and hang up.
DROP = "drop"


class Receiver:
    """Keeps all that comes in `requests`, and answers 200 unless `on` says otherwise."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._plans: dict[str, list[Plan]] = {}
        self._seen: defaultdict[str, int] = defaultdict(int)
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = free_port()

    def url(self, path: str = "/") -> str:
        """Where a path of it is; the same after every start."""
        return f"http://127.0.0.1:{self._port}{path}"

    def on(self, path: str, *answers: Plan) -> None:
        """Answer the requests to a path in this order from now on; the last one goes on for ever."""
        self._plans[path] = list(answers)
        self._seen[path] = 0

    def to(self, path: str) -> list[Request]:
        """List the requests to a path."""
        return [request for request in self.requests if request.path == path]

    def ids(self, path: str | None = None) -> Counter[str]:
        """Count the requests per `webhook-id`, of one path or of all."""
        found = self.requests if path is None else self.to(path)
        return Counter(request.headers.get("webhook-id", "") for request in found)

    async def wait_for(self, count: int, *, path: str | None = None, seconds: float = 20) -> list[Request]:
        """Wait until so many requests came, to one path or in all, and return those."""

        def enough() -> bool:
            return self.ids(path).total() >= count

        await until(enough, seconds=seconds, what=f"{count} requests to {path or 'the receiver'}")
        return list(self.requests) if path is None else self.to(path)

    async def start(self) -> None:
        """Listen."""
        self._stopping.clear()
        app = web.Application(client_max_size=8 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def stop(self) -> None:
        """Refuse connections, and end those that are open."""
        if self._runner is not None:
            self._stopping.set()
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        taken = Request(request.method, request.path, headers, body, utc_now())
        self.requests.append(taken)
        planned = self._next_answer(request.path)
        answer = planned(taken) if callable(planned) else planned
        if answer == HANG:
            await self._stopping.wait()
        if isinstance(answer, str):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        reply = Reply(answer) if isinstance(answer, int) else answer
        if reply.after is not None:
            await reply.after.wait()
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    def _next_answer(self, path: str) -> Plan:
        plan = self._plans.get(path) or [200]
        self._seen[path] += 1
        return plan[min(self._seen[path], len(plan)) - 1]
