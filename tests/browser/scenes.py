"""A marketplace with something on every page of it, and the list of pages that people see.

A new page joins by a line in PAGES; what its address needs comes from `Scene.names`. Those of the portal
join by themselves, from its own list; their states by a line in STATES_OF_PAGES.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import aiohttp
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
from services.subscribers.portal import routes
from tests.browser import houses
from tests.browser.houses import LONG_ADDRESS
from tests.browser.opportunities import FULL
from tests.integration.portal_visits import Town
from tests.integration.web import serving
from tests.rig.browser import Browser, Scheme
from tests.rig.process import free_port
from tests.rig.samples import cloudevent

LANGUAGES = ("nl", "en")
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@dataclass(frozen=True)
class Place:
    """A page to look at: its name, its address (`{…}` is a name of the scene), and what is to be there.

    `who` opens it: `full`, `empty`, `both` and `none` are signed in (tests/browser/houses.py); else nobody.
    """

    name: str
    path: str
    language: str = "nl"
    status: int = 200
    who: str = ""


#: What the portal's own list does not say: pages as others see them, and in other states.
STATES_OF_PAGES = (
    ("signed out", "/portal/sign-in?done=signed-out", "", 200),
    ("link sent", "/portal/sign-in?done=sent", "", 200),
    ("link that is over", "/portal/sign-in/unknown", "", 410),
    ("missing, signed in", "/portal/nowhere", "full", 404),
    ("choose of two", "/portal/choose", "both", 200),
    ("choose of none", "/portal/choose", "none", 200),
    ("overview, empty", "/portal", "empty", 200),
    ("subscriptions, empty", "/portal/subscriptions", "empty", 200),
    ("feeds, empty", "/portal/feeds", "empty", 200),
    ("people, empty", "/portal/people", "empty", 200),
    ("delivery of a mail that came back", "/portal/deliveries/{email_sent}", "full", 200),
    ("delivery that waits", "/portal/deliveries/{webhook_pending}", "full", 200),
    ("delivery that is sent", "/portal/deliveries/{webhook_sent}", "full", 200),
    ("subscription by webhook", "/portal/subscriptions/{webhook}", "full", 200),
    ("subscription, paused", "/portal/subscriptions/{paused}?done=paused", "full", 200),
    ("subscription, bounced", "/portal/subscriptions/{bounced}", "full", 200),
    ("subscription, pending", "/portal/subscriptions/{asked}", "full", 200),
    ("subscription, stopped", "/portal/subscriptions/{stopped}", "full", 200),
    ("webhook, unproven", "/portal/subscriptions/{unproven}/webhook", "full", 200),
    ("test that failed", "/portal/subscriptions/{webhook}/tests/{probe_failed}", "full", 200),
    ("test that waits", "/portal/subscriptions/{webhook}/tests/{probe_waiting}", "full", 200),
    ("preferences, stopped", "/u/{link_stopped}/preferences", "", 200),
    ("preferences, unknown", "/u/unknown/preferences", "", 404),
    ("confirm", "/confirm/{confirm_fresh}", "", 200),
    ("confirmed", "/confirm/{confirm_yes}", "", 200),
    ("refused", "/confirm/{confirm_no}", "", 200),
    ("confirm, stale", "/confirm/{confirm_stale}", "", 200),
    ("confirm, unknown", "/confirm/unknown", "", 404),
)
_TOKENS = {"sign_in_link": "sign_in", "preferences": "link", "unsubscribe": "link"}


def _portal(code: str) -> list[Place]:
    """Name the portal's pages in a language, and their states; names of the scene end in that language."""
    listed = (
        (page.name, page.path.replace("{token}", f"{{{_TOKENS.get(page.name)}}}"),
         "full" if page.needs == "session" else "", 404 if page.name == "missing" else 200)
        for page in routes.PAGES
    )  # fmt: skip
    return [
        Place(
            f"portal: {name} {code}", path.replace("}", f"_{code}}}"), code, status, who and f"{who}_{code}"
        )
        for name, path, who, status in (*listed, *STATES_OF_PAGES)
    ]


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
    *(place for code in LANGUAGES for place in _portal(code)),
)


@dataclass(frozen=True)
class Scene:
    """Where it is served, the names of what is there, and the cookies of who is signed in."""

    pool: Pool
    url: str
    here: Town
    names: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    async def open(self, browser: Browser, place: Place, scheme: Scheme = "light", **more: Any) -> Page:
        """Open a page in a new window, and see that it is the one that was asked for."""
        window = await browser.window(scheme=scheme, language=place.language, **more)
        await self.let_in(window, self.cookies.get(place.who, {}))
        answer = await window.goto(self.url + place.path.format(**self.names))
        assert answer is not None
        assert (answer.status, await window.locator("html").get_attribute("lang")) == (
            place.status,
            place.language,
        )
        return window

    async def let_in(self, window: Page, cookies: dict[str, str]) -> None:
        """Give a window the cookies of somebody who is signed in."""
        if cookies:
            await window.context.add_cookies(
                [{"name": name, "value": value, "url": self.url} for name, value in cookies.items()]
            )


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
    jar = aiohttp.DummyCookieJar()
    async with served as api, aiohttp.ClientSession(cookie_jar=jar) as session:
        opened = Scene(pool, api.url, Town(pool, api.url, api.settings, session))
        if not empty:
            await _fill(opened, folder / "mails", api.settings)
            receivers.received.extend(_received())
        yield opened


async def _fill(opened: Scene, mails: Path, settings: Settings) -> None:
    """Put something on every page."""
    names, pool = opened.names, opened.pool
    for code in LANGUAGES:
        found = await _told(opened, code)
        names |= {f"{name}_{code}": value for name, value in found.items()}
    names |= await _subscribed(pool)
    event = await _announced(pool)
    names |= {"event": str(event), **await _passing(pool, settings, event)}
    names |= _caught(mails, settings)


async def _told(opened: Scene, code: str) -> dict[str, str]:
    """Let people of every kind sign in who read this language; give the names of what they see."""
    here = opened.here
    house, names = await houses.full_house(here, code)
    visitor = await here.signed_in(house)
    await visitor.fill("/portal/feeds/new-address")
    names |= await houses.confirmations(here, visitor, code)
    names["asked"] = str(await here.pool.fetchval("SELECT max(id::text) FROM subscriptions"))
    both = await here.signed_in_as(await houses.of_two_houses(here, house, code))
    empty = await here.signed_in_as(await houses.empty_house(here, code))
    none = await houses.of_no_house(here, house, code)
    names["sign_in"] = (await here.link_for(house.contact)).rpartition("/")[2]
    for who, one in {"full": visitor, "both": both, "empty": empty, "none": none}.items():
        opened.cookies[f"{who}_{code}"] = {**one.cookies, "omroeper_language": code}
    return names


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
        for name in ("passing", "not_passed", "passed"):
            given = {"slug": name.replace("_", "-"), "name": "Wintercircus", "kind": "accelerator"}
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
