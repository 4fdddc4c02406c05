"""How long a page of the feeds takes, from the request to its last byte, among many opportunities."""

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp

from scripts.bench import seed
from scripts.bench.load import percentile
from scripts.bench.parts import Parts, cpu_seconds
from services.domain.event import parse_cloudevent
from services.domain.matching import parse_filter
from services.domain.subscriber import parse_subscriber
from services.runtime.clock import utc_now
from services.runtime.database import Pool, open_pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault, new_token, token_hash
from services.storage import events, feeds, planning, subscribers, subscriptions
from services.storage.subscriptions import NewSubscription
from services.subscribers.feeds import ldes
from tests.rig import samples
from tests.rig.waiting import until

#: Of so many opportunities one is changed, and one withdrawn.
_CHANGED, _WITHDRAWN = 5, 20
_BATCH = 500
_WARM_UP = 5
#: How often something changes before a calendar is read.
_CHANGES = 40
#: Whom an opportunity is for when one of their filters takes it: a third of all, and none at all.
_FILTERS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "many": (
        {"themes": ["zorg"], "regions": ["BE2"]},
        {"cpv": ["72"], "keywords": "sensoren kade"},
        {"regions": ["BE10"], "audience": ["start-up"], "types": ["published", "updated", "withdrawn"]},
    ),
    "none": ({"keywords": "vliegdekschip"}, {"themes": ["ruimtevaart"]}),
}


@dataclass(frozen=True)
class Page:
    """A page: which, the percentiles in ms, the service's processor time for each, and its size in kB."""

    name: str
    p50: float
    p95: float
    cpu_ms: float
    kilobytes: float


async def pages(parts: Parts, *, opportunities: int, rounds: int) -> list[Page]:
    """Read each kind of page so many times, by one reader that keeps its connection."""
    async with parts.database() as dsn, open_pool(dsn, size=1) as pool:
        head = await _fill(pool, opportunities)
        tokens = {slug: await _subscribe(pool, slug, filters) for slug, filters in _FILTERS.items()}
        async with _served(parts, dsn) as service:
            found = [
                await _measure(service, name, path, rounds) for name, path in _places(head, **tokens).items()
            ]
            return [*found, *await _first_asked(service, pool, head, tokens["many"], opportunities)]


def _places(head: int, many: str, none: str) -> Mapping[str, str]:
    public, own, empty = (f"/feeds{whose}/opportunities" for whose in ("", f"/{many}", f"/{none}"))
    middle, last = head // 2, 60
    return {
        "first page, Atom": f"{public}.atom",
        "middle page, Atom": f"{public}.atom?before={middle}",
        "last page, Atom": f"{public}.atom?before={last}",
        "first page, RSS": f"{public}.rss",
        "first page, JSON Feed": f"{public}.json",
        "page after a cursor, JSON Feed": f"{public}.json?after={middle}",
        "calendar of 500 deadlines": f"{public}.ics",
        "personal, first page": f"{own}.atom",
        "personal, middle page": f"{own}.atom?before={middle}",
        "personal, last page": f"{own}.atom?before={last}",
        "personal, page after a cursor": f"{own}.json?after={middle}",
        "personal, calendar": f"{own}.ics",
        "event stream, entry point": f"{public}/ldes",
        "event stream, page of 250": f"{public}/ldes/pages/1",
        "personal event stream, page": f"{own}/ldes/pages/2",
        "personal, that nothing fits": f"{empty}.atom",
        "personal calendar, that nothing fits": f"{empty}.ics",
    }


@dataclass(frozen=True)
class _Service:
    """The service that runs, and the reader's session."""

    session: aiohttp.ClientSession
    home: str
    pid: int


@asynccontextmanager
async def _served(parts: Parts, dsn: str) -> AsyncIterator[_Service]:
    env = parts.settings(dsn)
    home = f"http://127.0.0.1:{env['OMROEPER_PORT']}"
    with parts.omroeper("serve", "subscribers", env=env) as process:
        async with aiohttp.ClientSession() as session:
            ready: Callable[[], Any] = partial(_ready, session, home)
            await until(ready, seconds=60, what="the subscribers' service")
            yield _Service(session, home, process.pid)


async def _ready(session: aiohttp.ClientSession, home: str) -> bool:
    try:
        async with session.get(f"{home}/readyz") as answer:
            return answer.ok
    except aiohttp.ClientError:
        return False


async def _measure(service: _Service, name: str, path: str, rounds: int) -> Page:
    for _ in range(_WARM_UP):
        await _read(service, path)
    return await _measure_each(service, name, [path] * rounds)


async def _first_asked(
    service: _Service, pool: Pool, head: int, many: str, opportunities: int
) -> Sequence[Page]:
    """Read what is kept from then on, as its first reader does: pages, and calendars after a change."""
    fresh = itertools.count(opportunities)

    async def publish() -> None:
        number = next(fresh)
        await _announce(pool, range(number, number + 1))

    numbers, found = range(3, head // ldes.PAGE + 1), []
    for name, whose in (("event stream, page", "/feeds"), ("personal event stream, page", f"/feeds/{many}")):
        paths = [f"{whose}/opportunities/ldes/pages/{number}" for number in numbers]
        found.append(await _measure_each(service, f"{name} for the first time", paths))
    for name, whose in (("calendar", "/feeds"), ("personal, calendar", f"/feeds/{many}")):
        paths = [f"{whose}/opportunities.ics"] * _CHANGES
        found.append(await _measure_each(service, f"{name} after a change", paths, publish))
    return found


async def _measure_each(
    service: _Service, name: str, paths: Sequence[str], before: Callable[[], Awaitable[None]] | None = None
) -> Page:
    """Read these once each; something may have to happen before each."""
    taken, used, size = [], cpu_seconds(service.pid), 0
    for path in paths:
        if before:
            await before()
        begun = time.perf_counter()
        size = await _read(service, path)
        taken.append((time.perf_counter() - begun) * 1000)
    cpu_ms = (cpu_seconds(service.pid) - used) / len(paths) * 1000
    return Page(name, percentile(taken, 0.5), percentile(taken, 0.95), cpu_ms, size / 1000)


async def _read(service: _Service, path: str) -> int:
    """Read a page, and tell its size in bytes."""
    async with service.session.get(service.home + path) as answer:
        answer.raise_for_status()
        return len(await answer.read())


async def _fill(pool: Pool, opportunities: int) -> int:
    """Announce opportunities; return the last position of the stream."""
    for first in range(0, opportunities, _BATCH):
        await _announce(pool, range(first, min(first + _BATCH, opportunities)))
    async with pool.acquire() as connection:
        await feeds.append_new(connection)
        await seed.analyze(connection)
        return (await feeds.head(connection)).position


async def _announce(pool: Pool, numbers: range) -> None:
    now = utc_now()
    given = []
    for number in numbers:
        identity = f"bench-{number:06}"
        data = {
            **seed.opportunity(identity),
            "themes": [samples.THEMES[number % len(samples.THEMES)]],
            "regions": [samples.REGIONS[number % len(samples.REGIONS)]],
            "cpv": [samples.CPV[number % len(samples.CPV)]],
            "deadline": (now + timedelta(hours=number)).isoformat(),
        }
        given.append(samples.cloudevent(data=data))
        if number % _CHANGED == 0:
            given.append(samples.cloudevent(type="opportunity.updated", data={**data, "version": 2}))
        if number % _WITHDRAWN == 0:
            notice = {"id": identity, "version": 2}
            given.append(samples.cloudevent(type="opportunity.withdrawn", data=notice))
    parsed = [parse_cloudevent(event) for event in given]
    async with pool.acquire() as connection, connection.transaction():
        accepted = await events.accept(connection, parsed, accepted_by="http", relay=False)
        await planning.plan(connection, [one.id for one in accepted])


async def _subscribe(pool: Pool, slug: str, filters: Sequence[Mapping[str, Any]]) -> str:
    """Subscribe somebody to what fits one of the filters; return the token of its feeds."""
    vault = Vault(Settings(secret_key=seed.SECRET_KEY))
    async with pool.acquire() as connection, connection.transaction():
        given = {"slug": slug, "name": "Bench Incubator", "kind": "incubator"}
        owner = await subscribers.add(connection, parse_subscriber(given))
        assert owner is not None
        for number, wanted in enumerate(filters):
            unused = new_token()
            new = NewSubscription(
                subscriber_id=owner,
                channel="email",
                target=f"{slug}-{number}@incubator.example",
                filter=parse_filter(dict(wanted)),
                language="nl",
                token_hash=token_hash(unused),
                token_seal=vault.seal(unused),
            )
            await subscriptions.add(connection, new)
        token = new_token()
        await feeds.set_token(connection, owner, token_hash(token), vault.seal(token))
    return token
