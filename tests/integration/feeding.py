"""Announces opportunities on real tables, and reads the feeds that come of it."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import icalendar

from services.domain.event import parse_cloudevent
from services.domain.subscriber import parse_subscriber
from services.runtime.database import Pool
from services.storage import events, planning, subscribers, subscriptions
from tests.integration.web import Answer, Api, serving
from tests.rig.process import free_port
from tests.rig.samples import SOURCE, cloudevent, opportunity

#: As icalendar reads it: its types tell less than its documentation.
Calendar = Any
FORMATS = ("atom", "rss", "json", "ics")
PUBLIC = "/feeds/opportunities"

#: Planned opportunities by the number, as after years of use.
_MANY = """
INSERT INTO events (source, ce_id, type, subject, data, content_hash, accepted_by, planned_at,
  m_regions, m_cpv, m_themes, m_audience, m_text, deadline)
SELECT $2, 'many-' || n, 'opportunity.published', 'many-' || n,
  jsonb_build_object('id', 'many-' || n, 'title', jsonb_build_object('nl', 'Opdracht ' || n)), '', 'http',
  now(), '{}', '{}', '{}', '{}', '', now() + interval '30 days'
FROM generate_series(1, $1::int) n"""


def calendar(raw: str) -> Calendar:
    """Read a calendar."""
    return icalendar.Calendar.from_ical(raw)


class Stage:
    """A marketplace, and the services that read its events."""

    def __init__(self, pool: Pool, api: Api) -> None:
        self.pool, self.api = pool, api

    async def announce(self, *changed: dict[str, Any], kind: str = "published") -> list[UUID]:
        """Accept and plan opportunities, changed from the sample, in one transaction."""
        given = [opportunity(**changes) for changes in changed]
        return await self.plan([cloudevent(type=f"opportunity.{kind}", data=data) for data in given])

    async def notice(self, kind: str, subject: str, **more: Any) -> UUID:
        """Accept and plan a withdrawal, closing or award."""
        data = {"id": subject, **more}
        return (await self.plan([cloudevent(type=f"opportunity.{kind}", data=data)]))[0]

    async def plan(self, given: Sequence[dict[str, Any]]) -> list[UUID]:
        """Accept and plan CloudEvents, in one transaction."""
        parsed = [parse_cloudevent(event) for event in given]
        async with self.pool.acquire() as connection, connection.transaction():
            accepted = await events.accept(connection, parsed, accepted_by="http", relay=False)
            ids = [one.id for one in accepted]
            await planning.plan(connection, ids)
        return ids

    async def many(self, number: int) -> None:
        """Have this many opportunities published, with as little work as can be."""
        await self.pool.execute(_MANY, number, SOURCE)

    async def subscriber(self, slug: str, *wanted: dict[str, Any]) -> list[str]:
        """Add a subscriber with a webhook for each of these filters; return the subscriptions' ids."""
        async with self.pool.acquire() as connection:
            await subscribers.add(
                connection, parse_subscriber({"slug": slug, "name": slug, "kind": "incubator"})
            )
        added = [await self._subscribe(slug, number, filter_) for number, filter_ in enumerate(wanted)]
        return [answer.body["id"] for answer in added]

    async def _subscribe(self, slug: str, number: int, filter_: dict[str, Any]) -> Answer:
        body = {"channel": "email", "target": f"{slug}-{number}@incubator.example", "filter": filter_}
        answer = await self.call("POST", f"/v1/subscribers/{slug}/subscriptions", body)
        assert answer.status == 201, answer.body
        return answer

    async def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Ask with a key and a JSON body."""
        raw = None if body is None else json.dumps(body).encode()
        return await self.api.ask(method, path, headers={"Content-Type": "application/json"}, data=raw)

    async def end_subscription(self, subscription_id: str) -> None:
        """End a subscription."""
        async with self.pool.acquire() as connection, connection.transaction():
            assert await subscriptions.end(connection, UUID(subscription_id), "ended")

    async def end_subscriber(self, slug: str) -> None:
        """End a subscriber."""
        async with self.pool.acquire() as connection, connection.transaction():
            assert await subscribers.end(connection, slug, "ended")

    async def token(self, slug: str) -> str:
        """Make the token of a subscriber's feeds."""
        answer = await self.call("POST", f"/v1/subscribers/{slug}/feed-token")
        assert answer.status == 200, answer.body
        token: str = answer.body["token"]
        return token

    async def get(self, url: str, **headers: str) -> Answer:
        """Read an address of ours, whole or from the root on, without a key."""
        path = url.removeprefix(self.api.url)
        assert path.startswith("/"), url
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.api.get(path, key=None, headers=named)

    async def head(self, path: str) -> Answer:
        """Ask for the headers of an address."""
        return await self.api.ask("HEAD", path, key=None)

    async def items(self, url: str = f"{PUBLIC}.json") -> list[dict[str, Any]]:
        """Read the items of one page of a JSON Feed."""
        answer = await self.get(url)
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.body["items"]
        return found

    async def references(self, url: str = f"{PUBLIC}.json") -> list[str]:
        """Read which opportunities are on one page."""
        return [item["_omroeper"]["reference"] for item in await self.items(url)]


@dataclass(frozen=True)
class Receiver:
    """Somebody who keeps what a feed says, and the cursor to go on from."""

    kept: dict[str, dict[str, Any]]
    cursor: int = 0

    async def catch_up(self, stage: Stage, feed: str = f"{PUBLIC}.json") -> "Receiver":
        """Follow the pages from the cursor on until there is no next."""
        kept, cursor, url = dict(self.kept), self.cursor, f"{feed}?after={self.cursor}"
        while url:
            body = (await stage.get(url)).body
            kept |= {item["id"]: item for item in body["items"]}
            cursor, url = body["_omroeper"]["cursor"], body.get("next_url", "")
        return Receiver(kept, cursor)


@asynccontextmanager
async def staged(pool: Pool, **settings: Any) -> AsyncIterator[Stage]:
    """Serve all, so that the addresses in the feeds lead back here."""
    port = free_port()
    async with serving(pool, whole=True, port=port, public_url=f"http://127.0.0.1:{port}", **settings) as api:
        yield Stage(pool, api)
