"""A marketplace with something on every page of it, and the list of pages that people see.

A new page joins by a line in PAGES; what its address needs comes from `Scene.names`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from playwright.async_api import Page

from services.dispatcher.mail.composer import Composer
from services.dispatcher.message import Announcement, Message
from services.domain.event import EventType, parse_cloudevent
from services.domain.matching import parse_filter
from services.domain.passing_on import Door, Link, Told, Way
from services.domain.subscriber import parse_subscriber
from services.embedded import pages
from services.embedded.mailbox import Mailbox
from services.embedded.receivers import Received, Receivers
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.runtime.passing_links import passing_links
from services.runtime.settings import Settings
from services.runtime.vault import new_token, token_hash
from services.storage import events, passings, planning, subscribers, subscriptions
from services.storage.subscriptions import NewSubscription
from tests.browser.opportunities import FULL
from tests.integration.web import serving
from tests.rig.browser import Browser, Scheme
from tests.rig.process import free_port
from tests.rig.samples import cloudevent

#: As wide as an address can be without a place to break it.
LONG_ADDRESS = f"{'opdrachten-en-oproepen' * 2}@{'de-incubator-van-de-stad' * 2}.example"
LANGUAGES = ("nl", "en")
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@dataclass(frozen=True)
class Place:
    """A page to look at: its name, its address (`{…}` is a name of the scene), and what is to be there."""

    name: str
    path: str
    language: str = "nl"
    status: int = 200


#: `/docs` is left out: that is Swagger UI, for developers and not ours to mend; /openapi.json says the same.
PAGES = (
    *(Place(f"unsubscribe {code}", f"/u/{{subscribed_{code}}}", code) for code in LANGUAGES),
    *(Place(f"unsubscribed {code}", f"/u/{{ended_{code}}}", code) for code in LANGUAGES),
    *(Place(f"unknown link {code}", "/u/unknown", code, 404) for code in LANGUAGES),
    *(Place(f"passing on {code}", f"{{passing}}?lang={code}", code) for code in LANGUAGES),
    *(Place(f"passed on {code}", f"{{passed}}?lang={code}", code) for code in LANGUAGES),
    *(Place(f"correcting {code}", f"{{passed}}?lang={code}&way=newsletter", code) for code in LANGUAGES),
    *(Place(f"unknown passing link {code}", f"/p/unknown?lang={code}", code, 404) for code in LANGUAGES),
    Place("demo opportunities", "/", "en"),
    Place("demo ledger", "/demo/ledger/{event}", "en"),
    Place("demo mails", "/demo/mails", "en"),
    Place("demo mail", "/demo/mails/{mail}", "en"),
    Place("demo webhooks", "/demo/webhooks", "en"),
)


@dataclass(frozen=True)
class Scene:
    """Where it is served, and the names of what is there."""

    pool: Pool
    url: str
    names: dict[str, str]

    async def open(self, browser: Browser, place: Place, scheme: Scheme = "light") -> Page:
        """Open a page in a new window, and see that it is the one that was asked for."""
        window = await browser.window(scheme=scheme, language=place.language)
        answer = await window.goto(self.url + place.path.format(**self.names))
        assert answer is not None
        assert (answer.status, await window.locator("html").get_attribute("lang")) == (
            place.status,
            place.language,
        )
        return window


@asynccontextmanager
async def scene(pool: Pool, folder: Path, *, empty: bool = False) -> AsyncIterator[Scene]:
    """Serve what `omroeper up` serves; nothing has happened yet when it is to be empty."""
    mailbox, receivers, port = Mailbox(folder / "mails"), Receivers(), free_port()
    served = serving(
        pool,
        whole=True,
        more=[pages.router(pool, mailbox, receivers)],
        port=port,
        public_url=f"http://127.0.0.1:{port}",
    )
    async with served as api:
        names: dict[str, str] = {}
        if not empty:
            names |= await _subscribed(pool)
            event = await _announced(pool)
            names |= {"event": str(event), **await _passing(pool, api.settings, event)}
            names |= _caught(folder / "mails", api.settings)
            receivers.received.extend(_received())
        yield Scene(pool, api.url, names)


async def _subscribed(pool: Pool) -> dict[str, str]:
    """Subscribe somebody in each language, once for good and once no longer; name their tokens."""
    names: dict[str, str] = {}
    async with pool.acquire() as connection, connection.transaction():
        given = {"slug": "corda", "name": "Corda INCubator", "kind": "incubator"}
        owner = await subscribers.add(connection, parse_subscriber(given))
        assert owner is not None
        for language in LANGUAGES:
            for state in ("subscribed", "ended"):
                token = names[f"{state}_{language}"] = new_token()
                new = NewSubscription(
                    subscriber_id=owner,
                    channel="email",
                    target=f"{language}-{state}-{LONG_ADDRESS}",
                    filter=parse_filter({}),
                    language=language,
                    token_hash=token_hash(token),
                    token_seal=b"",
                )
                added = await subscriptions.add(connection, new)
                if state == "ended":
                    await subscriptions.end(connection, added, "unsubscribed")
    return names


async def _announced(pool: Pool) -> UUID:
    event = parse_cloudevent(cloudevent(data=FULL))
    async with pool.acquire() as connection, connection.transaction():
        accepted = await events.accept(connection, [event], accepted_by="http", relay=False)
        await planning.plan(connection, [accepted[0].id])
    return accepted[0].id


async def _passing(pool: Pool, settings: Settings, event: UUID) -> dict[str, str]:
    """Have somebody tell that they passed it on, and somebody else not yet; name the paths of their links."""
    paths: dict[str, str] = {}
    async with pool.acquire() as connection, connection.transaction():
        for name in ("passing", "passed"):
            given = {"slug": name, "name": "Wintercircus", "kind": "accelerator"}
            owner = await subscribers.add(connection, parse_subscriber(given))
            assert owner is not None
            paths[name] = urlsplit(passing_links(settings, Door.MAIL)(owner, event)).path
            ways = (Told(way=Way.NEWSLETTER, startups=40), Told(way=Way.WEBSITE)) if name == "passed" else ()
            for told in ways:
                assert await passings.tell(connection, Link(owner, event, Door.MAIL), told)
    return paths


def _caught(folder: Path, settings: Settings) -> dict[str, str]:
    name = f"{utc_now():%Y%m%dT%H%M%S%f}-{'0' * 16}"
    mail = Composer(settings).compose(message("published", "nl"))
    (folder / f"{name}.eml").write_bytes(mail.raw)
    return {"mail": name}


def _received() -> list[Received]:
    headers = {"webhook-id": str(uuid4()), "webhook-signature": f"v1,{'A' * 86}=="}
    return [Received(utc_now(), "corda", status, headers, '{"type":"…"}' * 40) for status in (503, 204)]


def message(event: str, language: str, **changes: Any) -> Message:
    """Give a mail's delivery of an opportunity that has all there is; a change to None takes that away."""
    data = {name: value for name, value in {**FULL, **changes}.items() if value is not None}
    parsed = parse_cloudevent(cloudevent(data=data))
    announcement = Announcement(
        id=uuid4(),
        source=parsed.source,
        ce_id=parsed.id,
        type=EventType(f"opportunity.{event}"),
        subject=parsed.subject,
        version=parsed.version,
        occurred_at=utc_now(),
        data=parsed.data,
        deadline=parsed.deadline,
    )
    return Message(
        delivery_id=UUID(int=1),
        attempt=1,
        announcement=announcement,
        subscription_id=UUID(int=2),
        subscriber_id=UUID(int=3),
        subscriber="Corda INCubator",
        target="opdrachten@corda.example",
        language=language,
        match={"regions": ["BE21"], "themes": ["mobiliteit"], "words": ["sensoren"]},
        unsubscribe_token="Zk3vJ8c2Q0mP5rT7wX9yAb",
    )
