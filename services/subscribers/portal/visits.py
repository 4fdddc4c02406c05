"""A visit: one request to the portal, who makes it, in which language, and how it is answered."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from services.domain.speech import BRUSSELS, Speech
from services.runtime.database import Connection, Pool
from services.runtime.language import languages, speech, spoken
from services.runtime.passing_links import PassingLink
from services.runtime.settings import Settings
from services.runtime.vault import Vault, token_hash
from services.storage import portal, sessions
from services.subscribers.portal import forms
from services.subscribers.portal.cookies import Cookies
from services.subscribers.portal.forms import Form
from services.subscribers.portal.rendering import HEADERS, Renderer
from services.subscribers.transaction import transact

SIGN_IN = "/portal/sign-in"
#: Where a request keeps the doors that it came in by.
DOORS = "omroeper.portal.doors"
_TOKEN_BYTES = 32
_T = TypeVar("_T")


class Elsewhere(Exception):
    """Send the visitor to another page."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Missing(Exception):
    """There is nothing here for this visitor, whatever may be here for others."""


class NotFromHere(Exception):
    """A form that does not come from a page of ours, or from one of before this session."""


@dataclass(frozen=True, slots=True)
class Site:
    """What every page works with; the links tell that something was passed on, here and in webhooks."""

    pool: Pool
    vault: Vault
    settings: Settings
    render: Renderer
    cookies: Cookies
    passing_link: PassingLink
    webhook_link: PassingLink

    @property
    def home(self) -> str:
        """Where people reach us, without a slash at the end."""
        return self.settings.public_url.rstrip("/")

    @property
    def form_keys(self) -> tuple[bytes, ...]:
        """The keys that sign forms."""
        return self.settings.signing_keys("portal forms")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request: `token` is the session's, `binding` the secret that its forms are bound to.

    `row` is the session with its subscriber (storage/sessions.sql, `find`); None when nobody is signed in.
    `by_link`: the address itself is the key, so that nothing is kept in a cookie.
    """

    site: Site
    request: Request
    speech: Speech
    binding: str = field(repr=False)
    token: str = field(default="", repr=False)
    row: sessions.Row | None = None
    form: Form = field(default_factory=Form)
    by_link: bool = False

    @property
    def subscriber_id(self) -> UUID:
        """The subscriber for whom somebody is signed in."""
        found: UUID = self.me["subscriber_id"]
        return found

    @property
    def me(self) -> sessions.Row:
        """The subscriber's columns, and the address that is signed in (`email`)."""
        if self.row is None:
            raise Elsewhere(SIGN_IN)
        return self.row

    @property
    def zone(self) -> ZoneInfo:
        """The subscriber's clock."""
        name = self.row["timezone"] if self.row else None
        return ZoneInfo(name) if name and name != BRUSSELS.key else BRUSSELS

    def page(self, name: str, status: int = 200, **shown: Any) -> Response:
        """Show a page."""
        answer = self.site.render(name, status, self.speech, {**self._frame(), **shown})
        if not (self.token or self.by_link):
            self.site.cookies.set(answer, "visit", self.binding)
        return answer

    def to(self, path: str) -> Response:
        """Send the browser on, after what it asked for is done."""
        if "hx-request" in self.request.headers:
            return Response(status_code=204, headers={**HEADERS, "HX-Redirect": path})
        return RedirectResponse(path, 303, HEADERS)

    def speaking(self, language: str) -> "Visit":
        """Speak the language of what is shown, unless the reader chose one."""
        chosen = self.site.cookies.get(self.request, "language")
        return replace(self, speech=speech(spoken(chosen or language)))

    async def read(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Read from the database."""
        async with self.site.pool.acquire() as connection:
            return await work(connection)

    async def change(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Do something in one transaction."""
        return await transact(self.site.pool, work)

    async def subscription(self, connection: Connection, subscription_id: UUID) -> portal.Row:
        """Find a subscription of this visitor's subscriber; raise `Missing` for anybody else's."""
        return _mine(await portal.subscription(connection, self.subscriber_id, subscription_id))

    async def delivery(self, connection: Connection, delivery_id: UUID) -> portal.Row:
        """Find a delivery of this visitor's subscriber; raise `Missing` for anybody else's."""
        return _mine(await portal.delivery(connection, self.subscriber_id, delivery_id))

    def _frame(self) -> dict[str, Any]:
        """What the frame around every page shows."""
        path = self.request.url.path if self.request.method == "GET" else ""
        return {
            "language": self.speech.code,
            "languages": languages(),
            "form_token": forms.token(self.site.form_keys, self.binding),
            "me": self.row if self.row and self.row["subscriber_id"] else None,
            "email": self.row["email"] if self.row else "",
            "zone": self.zone,
            "here": path,
            "at": self.request.url.path,
            "by_link": self.by_link,
            "done": self.request.query_params.get("done", ""),
            "errors": {},
        }


def new_secret() -> str:
    """Make an unguessable token of 256 bits, safe in a URL and in a cookie."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


class Doors:
    """Lets visitors in: everybody, or those who are signed in for a subscriber."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def anybody(self, request: Request) -> Visit:
        """Greet a visitor; raise `NotFromHere` for a form that is not of ours."""
        return await self._with_form(await self.greet(request))

    async def holder(self, request: Request) -> Visit:
        """Let somebody in by the secret in the address; raise `NotFromHere` as `anybody` does."""
        visit = self.stranger(request)
        binding = f"link {request.path_params['token']}"
        return await self._with_form(replace(visit, binding=binding, by_link=True))

    async def _with_form(self, visit: Visit) -> Visit:
        request = visit.request
        if request.method != "POST":
            return visit
        if not forms.from_here(request.headers, self._site.settings.public_url):
            raise NotFromHere
        form = await forms.read_form(request)
        if not forms.genuine(self._site.form_keys, visit.binding, form[forms.FIELD]):
            raise NotFromHere
        return replace(visit, form=form)

    async def signed_in(self, request: Request) -> Visit:
        """Let somebody in who is signed in for a subscriber; send others to where they can be."""
        if not self._site.cookies.get(request, "session"):
            raise Elsewhere(SIGN_IN)
        visit = await self.anybody(request)
        if visit.row is None:
            raise Elsewhere(SIGN_IN)
        if visit.row["subscriber_id"] is None:
            raise Elsewhere("/portal/choose")
        return visit

    async def greet(self, request: Request) -> Visit:
        """See who it is, and look at nothing else."""
        token = self._site.cookies.get(request, "session")
        row = await self._session(token) if token else None
        if row is None:
            return self.stranger(request)
        return Visit(self._site, request, speech(self._language(request, row)), token, token, row)

    def stranger(self, request: Request) -> Visit:
        """Take a visitor for somebody who is not signed in."""
        binding = self._site.cookies.get(request, "visit") or new_secret()
        return Visit(self._site, request, speech(self._language(request, None)), binding)

    async def _session(self, token: str) -> sessions.Row | None:
        digest = token_hash(token)
        async with self._site.pool.acquire() as connection:
            row = await sessions.find(connection, digest)
            if row is not None:
                await sessions.extend(connection, digest)
        return row

    def _language(self, request: Request, row: sessions.Row | None) -> str:
        theirs = row["spoken"] if row else None
        chosen = self._site.cookies.get(request, "language")
        return spoken(chosen or theirs or request.headers.get("accept-language", ""))


async def _anybody(request: Request) -> Visit:
    doors: Doors = request.scope[DOORS]
    return await doors.anybody(request)


async def _holder(request: Request) -> Visit:
    doors: Doors = request.scope[DOORS]
    return await doors.holder(request)


async def _signed_in(request: Request) -> Visit:
    doors: Doors = request.scope[DOORS]
    return await doors.signed_in(request)


#: What a route asks for: any visitor, one who holds a link, or one who is signed in for a subscriber.
Anybody = Annotated[Visit, Depends(_anybody)]
Holder = Annotated[Visit, Depends(_holder)]
SignedIn = Annotated[Visit, Depends(_signed_in)]


def _mine(row: portal.Row | None) -> portal.Row:
    if row is None:
        raise Missing
    return row
