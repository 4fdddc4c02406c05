"""`/confirm/{token}`: the owner of a mailbox says yes, or that it was not them.

Rules:
1. Only POST answers: link scanners GET everything.
2. The page names who asked for what, and shows nothing else; whoever has the link may answer, once.
3. A stale or forged link says so kindly, and what to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from services.runtime.database import Connection, Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.runtime.web.problems import Refused
from services.storage import confirmations
from services.storage.confirmations import Found, SaidNo
from services.storage.left_alone import LeaveAlone
from services.subscribers.forms import FORM_TYPES, read_form
from services.subscribers.pages import Render, renderer
from services.subscribers.transaction import transact

#: An answer is a few dozen bytes; multipart adds its boundaries.
_BODY_BYTES = 8_192
YES, NO = "yes", "no"
_Token = Annotated[str, Path(description="The token in the link of a letter")]
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "A link that we never made"}}
_SCHEMA = {"type": "object", "properties": {"answer": {"type": "string", "enum": [YES, NO]}}}
_BODY = {
    "requestBody": {"required": True, "content": {name: {"schema": _SCHEMA} for name in FORM_TYPES}},
}


def router(pool: Pool, vault: Vault, settings: Settings) -> APIRouter:
    """Make the routes by which owners confirm."""
    routes = APIRouter(tags=["confirm"], default_response_class=HTMLResponse)
    render = renderer(settings.templates_dir)

    @routes.head("/confirm/{token}", include_in_schema=False)
    @routes.get("/confirm/{token}", responses=_UNKNOWN)
    async def ask(token: _Token, request: Request) -> HTMLResponse:
        """Ask whether mails are wanted; changes nothing."""
        async with pool.acquire() as connection:
            found = await confirmations.find(connection, vault, token)
        return _page(render, request, found)

    @routes.post(
        "/confirm/{token}",
        openapi_extra=_BODY,
        responses={**_UNKNOWN, 400: {"description": "No answer; nothing changed"}},
    )
    async def answer(token: _Token, request: Request) -> HTMLResponse:
        """Confirm (`answer=yes`), or say that it was somebody else (`no`), which ends it. Idempotent."""
        said = (await read_form(request, _BODY_BYTES)).get("answer")
        if said not in (YES, NO):
            return render("unanswered", 400, request.headers.get("accept-language", ""))
        found = await transact(pool, lambda connection: _answer(connection, vault, token, said == YES))
        return _page(render, request, found)

    return routes


@contextmanager
def refusals() -> Iterator[None]:
    """Say in a problem why an owner cannot be mailed or asked."""
    try:
        yield
    except SaidNo:
        raise Refused(
            409, "The owner of this mailbox said that they want nothing from this subscriber; leave it alone."
        ) from None
    except LeaveAlone:
        raise Refused(
            409,
            "The owner of this mailbox asked before to be left alone, or mails to it came back. "
            'Add `"verify": true`: then they are asked first.',
        ) from None


async def _answer(connection: Connection, vault: Vault, token: str, yes: bool) -> Found | None:
    found = await confirmations.find(connection, vault, token)
    if found is None:
        return None
    if yes:
        await confirmations.confirm(connection, vault, found)
    else:
        await confirmations.refuse(connection, found)
    return await confirmations.find(connection, vault, token)


def _page(render: Render, request: Request, found: Found | None) -> HTMLResponse:
    if found is None:
        return render("unknown", 404, request.headers.get("accept-language", ""))
    shown = {name: asdict(found)[name] for name in ("subscriber", "destination", "cadence")}
    return render(_name(found), 200, found.language, **shown)


def _name(found: Found) -> str:
    """Choose the page: it asks, or tells how it stands by now."""
    if found.fresh:
        return "confirm"
    if found.outcome == confirmations.REFUSED:
        return "refused"
    confirmed = found.outcome == "confirmed" or found.status == "active"
    return "confirmed" if confirmed and found.status != "ended" else "stale"
