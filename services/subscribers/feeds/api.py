"""`/feeds`: Atom, RSS, JSON Feed and a calendar, for everybody and, by a secret token, for one subscriber."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.domain.passing_on import Door
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.runtime.passing_links import passing_links
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.runtime.web.auth import Guard
from services.runtime.web.problems import Refused
from services.subscribers.feeds import atom, conditional, ical, jsonfeed, ldes_api, rss, tokens
from services.subscribers.feeds.conditional import PRIVATE, PUBLIC, Validators
from services.subscribers.feeds.entry import Page
from services.subscribers.feeds.kept import Kept
from services.subscribers.feeds.reading import Place, Reading, read_calendar, read_page, reading

_MOST = 2**63 - 1
_Before = Annotated[
    int | None, Query(ge=0, le=_MOST, description="Only what changed before this position, newest first")
]
_After = Annotated[
    int | None,
    Query(ge=0, le=_MOST, description="Only what changed after this position (a cursor), oldest first"),
]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed"},
    404: {"description": "There is no such feed"},
}


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a page."""

    media_type: str
    render: Callable[[Page], bytes]


FORMATS = {
    "atom": Format(atom.MEDIA_TYPE, atom.render),
    "rss": Format(rss.MEDIA_TYPE, rss.render),
    "json": Format(jsonfeed.MEDIA_TYPE, jsonfeed.render),
}


def router(pool: Pool, vault: Vault, guard: Guard, settings: Settings) -> APIRouter:
    """Make the routes of the feeds, and the one that makes a subscriber's token."""
    routes = APIRouter(tags=["feeds"])
    kept = Kept()
    for prefix, token in (("/feeds", _nobody), ("/feeds/{token}", _token)):
        for suffix, written in FORMATS.items():
            _feed(routes, pool, settings, f"{prefix}/opportunities.{suffix}", token, written)
        _calendar(routes, pool, settings, f"{prefix}/opportunities.ics", token, kept=kept)
        ldes_api.add(routes, pool, settings, f"{prefix}/opportunities/ldes", token, kept=kept)
    ldes_api.add_members(routes, pool, settings)
    tokens.add(routes, pool, vault, guard, settings)
    return routes


def _nobody() -> None:
    """Read as the public does."""


def _token(token: Annotated[str, Path(description="The secret part of a subscriber's addresses")]) -> str:
    """Read as a subscriber does."""
    return token


def _feed(
    routes: APIRouter, pool: Pool, settings: Settings, path: str, whose: Callable[..., Any], written: Format
) -> None:
    @routes.head(path, include_in_schema=False)
    @routes.get(path, response_class=Response, responses=_RESPONSES)
    async def feed(
        request: Request,
        token: Annotated[str | None, Depends(whose)],
        before: _Before = None,
        after: _After = None,
    ) -> Response:
        """Opportunities, last changed first, 50 on a page; with `after` oldest change first, to catch up."""
        if before is not None and after is not None:
            raise Refused(422, "Give `before` or `after`, not both.")
        async with reading(pool, token) as now:
            place = _place(settings, path, token, before, after)
            validators = _validators(now, place, written.media_type)
            if validators.unchanged(request):
                return conditional.not_modified(_headers(now, validators))
            page = await read_page(now, place)
        cursor = None if page.cursor is None else str(page.cursor)
        return _answer(written, written.render(page), _headers(now, validators, Feed_Cursor=cursor))


def _calendar(
    routes: APIRouter, pool: Pool, settings: Settings, path: str, whose: Callable[..., Any], *, kept: Kept
) -> None:
    written = Format(ical.MEDIA_TYPE, partial(ical.render, kept=kept))

    async def write(now: Reading, place: Place, today: datetime) -> bytes:
        return written.render(await read_calendar(now, place, today))

    @routes.head(path, include_in_schema=False)
    @routes.get(path, response_class=Response, responses=_RESPONSES)
    async def calendar(request: Request, token: Annotated[str | None, Depends(whose)]) -> Response:
        """Deadlines from a month ago on, soonest first; those of withdrawn opportunities are cancelled."""
        today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
        async with reading(pool, token) as now:
            place = _place(settings, path, token)
            # it changes with the day, too
            validators = Validators(_validators(now, place, written.media_type, today.date()).etag)
            if validators.unchanged(request):
                return conditional.not_modified(_headers(now, validators))
            body = await kept.get(validators.etag, partial(write, now, place, today))
        return _answer(written, body, _headers(now, validators))


def _place(
    settings: Settings, path: str, token: str | None, before: int | None = None, after: int | None = None
) -> Place:
    home = settings.public_url.rstrip("/")
    link = passing_links(settings, Door.FEED)
    return Place(home, home + path.replace("{token}", token or ""), link, before, after)


def _validators(now: Reading, place: Place, *more: Any) -> Validators:
    tag = conditional.etag(now.head.position, place.url, now.reader.filters, *more)
    return Validators(tag, None if now.reader.subscriber_id else now.head.appended_at)


def _headers(now: Reading, validators: Validators, **more: str | None) -> dict[str, str]:
    cache_control = PRIVATE if now.reader.subscriber_id else PUBLIC
    return conditional.headers(validators, now.asked_at, cache_control, Content_Language="nl-BE", **more)


def _answer(written: Format, body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, headers=headers, media_type=f"{written.media_type}; charset=utf-8")
