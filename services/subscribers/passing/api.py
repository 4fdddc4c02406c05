"""`/p/{token}`: a subscriber tells that it passed an opportunity on, on a page or from a program.

Rules:
1. Only POST tells: link scanners GET everything.
2. Whoever has the link may say how it was passed on, and do nothing else: no cookie, no login, no redirect.
3. Telling the same again changes nothing; the same way with another number corrects it.
4. It may be told at any time: after the deadline, and of what was withdrawn, too.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from services.domain.passing_on import PURPOSE, Link, Told, parse_told, read_token
from services.domain.speech import Speech
from services.runtime.database import Connection, Pool
from services.runtime.language import languages, speech, spoken
from services.runtime.settings import Settings
from services.runtime.web.problems import Refused
from services.storage import passings
from services.subscribers.bodies import described, read_json
from services.subscribers.forms import FORM_TYPES, read_form
from services.subscribers.pages import Render, renderer
from services.subscribers.passing import page
from services.subscribers.passing.form import Form, check, form_of
from services.subscribers.passing.page import Shown

_BODY_BYTES = 8_192
_JSON = "application/json"
_Token = Annotated[str, Path(description="The token in the link of a message")]
_Way = Annotated[str, Query(alias="way", description="What was told before and is to be corrected")]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    404: {"description": "An unknown link"},
    422: {"description": "Something is wrong with it; nothing was kept"},
}


@dataclass(frozen=True, slots=True)
class _Visit:
    """Somebody with a link of ours; None when it is none. `language`: what was asked for, if anything."""

    link: Link | None
    language: str
    accepted: str

    def speech(self, own: str) -> Speech:
        """Speak the language that was asked for, else the one that is the subscriber's own."""
        return speech(self.language if self.language in languages() else spoken(own))


def router(pool: Pool, settings: Settings) -> APIRouter:
    """Make the routes by which subscribers tell that they passed something on."""
    routes = APIRouter(tags=["passing on"])
    render, keys = renderer(settings.templates_dir), settings.signing_keys(PURPOSE)

    def visiting(
        token: _Token,
        request: Request,
        lang: Annotated[str, Query(description="The page's language; else the subscriber's")] = "",
    ) -> _Visit:
        return _Visit(read_token(token, keys), lang, request.headers.get("accept-language", ""))

    @routes.head("/p/{token}", include_in_schema=False)
    @routes.get("/p/{token}", response_class=HTMLResponse, responses={404: _RESPONSES[404]})
    async def ask(visit: Annotated[_Visit, Depends(visiting)], way: _Way = "") -> Response:
        """Show what can be told, and what was told before; changes nothing."""
        return await _page(pool, render, visit, correcting=way)

    @routes.post("/p/{token}", openapi_extra=_body(), response_class=HTMLResponse, responses=_RESPONSES)
    async def tell(visit: Annotated[_Visit, Depends(visiting)], request: Request) -> Response:
        """Keep how it was passed on, from the page's form or as JSON. Idempotent per way."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type == _JSON:
            return await _told_by_program(pool, visit.link, await read_json(request, _BODY_BYTES))
        return await _page(pool, render, visit, given=form_of(await read_form(request, _BODY_BYTES)))

    return routes


async def _page(
    pool: Pool, render: Render, visit: _Visit, *, given: Form | None = None, correcting: str = ""
) -> Response:
    if visit.link is None:
        return _unknown(render, visit)
    async with pool.acquire() as connection:
        about = await passings.about(connection, visit.link)
        if about is None:
            return _unknown(render, visit)
        said = visit.speech(about["language"])
        shown = Shown() if given is None else await _take(connection, visit.link, given, said)
        told = await passings.told(connection, visit.link.subscriber_id, about["subject"])
    if correcting:
        shown = Shown(page.chosen(told, correcting))
    return render("passing", 422 if shown.problems else 200, said.code, **page.view(about, told, shown, said))


def _unknown(render: Render, visit: _Visit) -> Response:
    return render("unknown", 404, visit.speech(visit.accepted).code)


async def _take(connection: Connection, link: Link, form: Form, said: Speech) -> Shown:
    told = check(form, said)
    if not isinstance(told, Told):
        return Shown(form, told)
    return Shown(kept=await passings.tell(connection, link, told))


async def _told_by_program(pool: Pool, link: Link | None, body: object) -> Response:
    unknown = Refused(404, "We do not know this link; post to the `passed_on_url` just as it was given.")
    if link is None:
        raise unknown
    told = parse_told(body)
    async with pool.acquire() as connection:
        kept = await passings.tell(connection, link, told)
    if kept is None:
        raise unknown
    return JSONResponse(_kept_json(kept), headers={"Cache-Control": "no-store"})


def _kept_json(row: Any) -> dict[str, Any]:
    corrected_at = row["corrected_at"]
    return {
        "opportunity": row["subject"],
        "event": str(row["event_id"]),
        "way": row["way"],
        "startups": row["startups"],
        "at": row["at"].isoformat(),
        "corrected_at": corrected_at and corrected_at.isoformat(),
    }


def _body() -> dict[str, Any]:
    """Describe the body: the same fields as a form and as JSON."""
    body = described(Told)
    content = body["requestBody"]["content"]
    content |= dict.fromkeys(FORM_TYPES, content[_JSON])
    return body
