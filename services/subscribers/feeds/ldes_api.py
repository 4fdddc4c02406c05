"""`/feeds/opportunities/ldes`: the event stream, its pages and members, as Turtle or JSON-LD."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response

from services.runtime.database import Pool
from services.runtime.settings import Settings
from services.runtime.web.problems import Refused
from services.storage import feeds
from services.subscribers.feeds import conditional, ldes
from services.subscribers.feeds.conditional import FOR_EVER, PRIVATE, PUBLIC, Validators
from services.subscribers.feeds.kept import Kept
from services.subscribers.feeds.ldes import Relation, Stream, first_position, member_of
from services.subscribers.feeds.rdf import JSON_LD, TURTLE, Node, json_ld, turtle
from services.subscribers.feeds.reading import Reading, reading
from services.subscribers.feeds.shape import shape

_BASE = "/feeds/opportunities/ldes"
_Number = Annotated[int, Path(ge=1, le=10**12, description="Counted from 1")]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {TURTLE: {}, JSON_LD: {}}},
    304: {"description": "Nothing has changed"},
    404: {"description": "There is nothing here, or not yet"},
}
_WRITERS = {TURTLE: turtle, JSON_LD: json_ld}


def add(
    routes: APIRouter, pool: Pool, settings: Settings, path: str, whose: Callable[..., Any], *, kept: Kept
) -> None:
    """Add the routes of a stream: its entry point, its ranges and its pages."""
    _nodes(routes, pool, settings, path, whose)
    _pages(routes, pool, settings, path, whose, kept=kept)


def _nodes(routes: APIRouter, pool: Pool, settings: Settings, path: str, whose: Callable[..., Any]) -> None:

    @routes.head(path, include_in_schema=False)
    @routes.get(path, response_class=Response, responses=_RESPONSES)
    async def entry_point(request: Request, token: Annotated[str | None, Depends(whose)]) -> Response:
        """The event stream: what it is, and where its pages are."""
        async with reading(pool, token) as now:
            relations = await _relations_of_all(now, _stream(settings, path, token))
        nodes = ldes.entry_point(_stream(settings, path, token), relations)
        return _answer(request, now, nodes, full=False)

    @routes.head(path + "/ranges/{number}", include_in_schema=False)
    @routes.get(path + "/ranges/{number}", response_class=Response, responses=_RESPONSES)
    async def stream_range(
        request: Request, number: _Number, token: Annotated[str | None, Depends(whose)]
    ) -> Response:
        """A range of a hundred full pages: where they are."""
        stream = _stream(settings, path, token)
        async with reading(pool, token) as now:
            if not ldes.range_is_full(number, now.head.position):
                raise _nothing()
            relations = await _relations(now, stream, ldes.pages_of_range(number))
        nodes = ldes.index(stream.range(number), relations, immutable=_immutable(now))
        return _answer(request, now, nodes, full=True)


def _pages(
    routes: APIRouter, pool: Pool, settings: Settings, path: str, whose: Callable[..., Any], *, kept: Kept
) -> None:
    @routes.head(path + "/pages/{number}", include_in_schema=False)
    @routes.get(path + "/pages/{number}", response_class=Response, responses=_RESPONSES)
    async def stream_page(
        request: Request, number: _Number, token: Annotated[str | None, Depends(whose)]
    ) -> Response:
        """A page of the stream: 250 members; once full, it never changes."""
        async with reading(pool, token) as now:
            if number > ldes.page_count(now.head.position):
                raise _nothing()
            stream = _stream(settings, path, token)
            about = _About(request, now, stream.iri, full=ldes.page_is_full(number, now.head.position))
            if about.validators.unchanged(request):
                return conditional.not_modified(about.headers)
            write = partial(_write_page, about, stream, number)
            return about.answer(await kept.get(about.validators.etag, write))


def add_members(routes: APIRouter, pool: Pool, settings: Settings) -> None:
    """Add the routes that all streams share: members by name, and their shape."""
    stream = _stream(settings, _BASE, None)

    @routes.head(_BASE + "/members/{event_id}", include_in_schema=False)
    @routes.get(_BASE + "/members/{event_id}", response_class=Response, responses=_RESPONSES)
    async def stream_member(request: Request, event_id: UUID) -> Response:
        """One member of the stream; it never changes."""
        async with reading(pool, None) as now:
            row = await feeds.member(now.connection, event_id)
        if row is None:
            raise _nothing()
        return _answer(request, now, [ldes.describe(stream, member_of(row))], full=True)

    @routes.head(_BASE + "/shape", include_in_schema=False)
    @routes.get(_BASE + "/shape", response_class=Response)
    async def stream_shape() -> Response:
        """The SHACL shape of the members."""
        headers = {"Cache-Control": PUBLIC, "Access-Control-Allow-Origin": "*"}
        return Response(shape(stream.shape), headers=headers, media_type=f"{TURTLE}; charset=utf-8")


def acceptable(accept: str) -> str:
    """Choose how to write, by the Accept header (RFC 9110 section 12.5.1); Turtle when it is all the same.

    >>> acceptable("text/turtle;q=0.5, application/ld+json"), acceptable("text/html"), acceptable("")
    ('application/ld+json', 'text/turtle', 'text/turtle')
    """
    weights = {media_type: _weight(media_type, accept) for media_type in _WRITERS}
    return max(weights, key=lambda media_type: weights[media_type])


def _weight(media_type: str, accept: str) -> float:
    wildcards = {media_type: 2, media_type.partition("/")[0] + "/*": 1, "*/*": 0}
    found = [(-1, 0.0)]
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name in wildcards:
            found.append((wildcards[name], _quality(parameters)))
    return max(found)[1]


def _quality(parameters: Iterable[str]) -> float:
    given = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return min(max(float(given), 0.0), 1.0)
    except ValueError:
        return 0.0


def _stream(settings: Settings, path: str, token: str | None) -> Stream:
    home = settings.public_url.rstrip("/")
    shared = home + _BASE
    return Stream(home + path.replace("{token}", token or ""), f"{shared}/members", f"{shared}/shape")


async def _relations_of_all(now: Reading, stream: Stream) -> list[Relation]:
    """Lead to the closed ranges, and to the pages that none of them holds."""
    closed = ldes.closed_ranges(now.head.position)
    begins = [first_position(number * ldes.PAGES_IN_RANGE + 1) for number in range(closed + 1)]
    stamps = await feeds.stamps(now.connection, begins)
    ranges = [
        Relation(stream.range(number + 1), stamps[begins[number]], stamps[begins[number + 1]])
        for number in range(closed)
    ]
    return [*ranges, *await _relations(now, stream, ldes.pages_outside_ranges(now.head.position))]


async def _relations(now: Reading, stream: Stream, pages: range) -> list[Relation]:
    begins = [first_position(number) for number in range(pages.start, pages.stop + 1)]
    stamps = await feeds.stamps(now.connection, begins)
    return [
        Relation(stream.page(number), stamps[begin], stamps.get(begin + ldes.PAGE))
        for number, begin in zip(pages, begins, strict=False)
    ]


def _immutable(now: Reading) -> bool:
    # a subscriber may change its filter, and its pages with it
    return now.reader.subscriber_id is None


def _nothing() -> Refused:
    return Refused(404, "There is nothing here, or not yet.")


class _About:
    """What is known of an answer before it is written."""

    def __init__(self, request: Request, now: Reading, name: str | None, *, full: bool) -> None:
        self.now, self.full = now, full
        self.media_type = acceptable(request.headers.get("accept", ""))
        state = None if full else now.head.position
        tag = conditional.etag(request.url.path, name, state, now.reader.filters, self.media_type)
        self.validators = Validators(tag, None if full or now.reader.subscriber_id else now.head.appended_at)
        lasts = PRIVATE if now.reader.subscriber_id else FOR_EVER if full else PUBLIC
        self.headers = conditional.headers(self.validators, now.asked_at, lasts, Vary="Accept")

    def written(self, nodes: list[Node]) -> bytes:
        """Write nodes as they were asked for."""
        return _WRITERS[self.media_type](nodes)

    def answer(self, body: bytes) -> Response:
        """Answer with a body."""
        return Response(body, headers=self.headers, media_type=f"{self.media_type}; charset=utf-8")


async def _write_page(about: _About, stream: Stream, number: int) -> bytes:
    now, first = about.now, first_position(number)
    rows = await feeds.members(now.connection, now.reader.wants, first, first + ldes.PAGE - 1)
    members = [member_of(row) for row in rows]
    return about.written(ldes.page(stream, number, members, immutable=about.full and _immutable(now)))


def _answer(request: Request, now: Reading, nodes: list[Node], *, full: bool) -> Response:
    about = _About(request, now, nodes[0].iri, full=full)
    if about.validators.unchanged(request):
        return conditional.not_modified(about.headers)
    return about.answer(about.written(nodes))
