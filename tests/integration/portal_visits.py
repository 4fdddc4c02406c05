"""Visitors of the portal over real HTTP: browsers without scripts, each with its own cookies."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import aiohttp

from services.domain.matching import parse_filter
from services.domain.signing import symmetric_secret
from services.domain.subscriber import parse_subscriber
from services.runtime.database import Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault, new_token, token_hash
from services.storage import subscribers, subscriptions
from services.storage.subscriptions import NewSubscription
from tests.integration.owing import Books, settings_for
from tests.integration.web import serving

_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
_FORM = "application/x-www-form-urlencoded"


@dataclass
class Page:
    """What a browser got."""

    status: int
    text: str
    headers: dict[str, str]
    cookies: dict[str, str]

    @property
    def to(self) -> str:
        """Where it is sent on to."""
        return self.headers.get("location", "")

    @property
    def words(self) -> str:
        """What it says, without its marks."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.text)).split())


class Visitor:
    """A browser: keeps its cookies, and sends the forms of pages as they stand there."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self._session = url, session
        self.cookies: dict[str, str] = {}
        self.token = ""

    async def get(self, path: str, **headers: str) -> Page:
        """Open a page."""
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, values: Any = (), *, token: str | None = None, **headers: str) -> Page:
        """Send a form; with the token of the page seen last, unless another is given."""
        pairs = list(values.items() if isinstance(values, dict) else values)
        sent = self.token if token is None else token
        body = urlencode([("form_token", sent), *pairs]) if sent else urlencode(pairs)
        return await self._ask("POST", path, body, {"content-type": _FORM, **headers})

    async def fill(self, path: str, values: Any = (), **headers: str) -> Page:
        """Open a page and send its form."""
        await self.get(path)
        return await self.post(path, values, **headers)

    async def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Page:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        asking = self._session.request(
            method, self.url + path, data=body, headers=sent, allow_redirects=False
        )
        async with asking as response:
            text = (await response.read()).decode()
            page = Page(
                response.status,
                text,
                {name.lower(): value for name, value in response.headers.items()},
                {name: morsel.OutputString() for name, morsel in response.cookies.items()},
            )
            for name, morsel in response.cookies.items():
                if morsel.value:
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
        if found := _TOKEN.search(page.text):
            self.token = found[1]
        return page


@dataclass
class House:
    """An incubator that is told: with a mail subscription, a webhook, and whoever signs in for it."""

    id: UUID
    slug: str
    contact: str
    email: UUID
    webhook: UUID
    link: str = field(repr=False)


class Town:
    """The portal, those who visit it, and those who are told."""

    def __init__(self, pool: Pool, url: str, settings: Settings, session: aiohttp.ClientSession) -> None:
        self.pool, self.url, self.settings = pool, url, settings
        self.vault, self.books = Vault(settings), Books(pool, settings)
        self._session = session

    def visitor(self) -> Visitor:
        """Let somebody come who was never here."""
        return Visitor(self.url, self._session)

    async def house(self, name: str = "Startershuis", **more: Any) -> House:
        """Add an incubator."""
        own = uuid4().hex[:8]
        slug, contact, link = f"huis-{own}", f"info@huis-{own}.example", new_token()
        given = {"slug": slug, "name": name, "kind": "incubator", "contact": contact, **more}
        async with self.pool.acquire() as connection, connection.transaction():
            house_id = await subscribers.add(connection, parse_subscriber(given))
            assert house_id is not None
            targets = {"email": contact, "webhook": f"https://hooks.huis-{own}.example/in"}
            added = {}
            for channel, target in targets.items():
                token = link if channel == "email" else new_token()
                added[channel] = await subscriptions.add(
                    connection,
                    NewSubscription(
                        subscriber_id=house_id,
                        channel=channel,
                        target=target,
                        filter=parse_filter(None),
                        language=more.get("language", "nl"),
                        token_hash=token_hash(token),
                        token_seal=self.vault.seal(token),
                    ),
                )
            sealed = self.vault.seal(symmetric_secret(b"x" * 32))
            await subscriptions.add_secret(connection, added["webhook"], "v1", sealed)
        return House(house_id, slug, contact, added["email"], added["webhook"], link)

    async def signed_in(self, house: House, email: str | None = None) -> Visitor:
        """Let somebody sign in for a house, by the link in a letter."""
        return await self.signed_in_as(email or house.contact)

    async def signed_in_as(self, email: str) -> Visitor:
        """Let the owner of a mailbox sign in, by the link in a letter."""
        visitor = self.visitor()
        page = await visitor.fill(await self.link_for(email))
        assert page.to == "/portal", page.words
        return visitor

    async def link_for(self, email: str) -> str:
        """Ask for a link to sign in, and read its path where only the owner of the mailbox does."""
        await self.visitor().fill("/portal/sign-in", {"email": email})
        shown: str = (await self.letters())[-1]["shown"]["link"]
        return shown.removeprefix(self.settings.public_url)

    async def letters(self) -> list[dict[str, Any]]:
        """Read the letters that wait to be sent, in the order in which they were written."""
        rows = await self.pool.fetch("SELECT kind, language, sealed FROM letters ORDER BY id")
        return [
            {"kind": row["kind"], "language": row["language"], **json.loads(self.vault.open(row["sealed"]))}
            for row in rows
            if row["sealed"]
        ]

    async def count(self, table: str) -> int:
        """Count the rows of a table."""
        found: int = await self.pool.fetchval(f"SELECT count(*) FROM {table}")
        return found


@asynccontextmanager
async def town(pool: Pool, **changes: Any) -> AsyncIterator[Town]:
    """Serve the portal, with people to visit it."""
    settings = {"secret_key": "k" * 32, "public_url": "http://omroeper.example", **changes}
    async with serving(pool, whole=True, **settings) as api:
        connector = aiohttp.TCPConnector(limit=0)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
            yield Town(pool, api.url, settings_for("", **settings), session)
