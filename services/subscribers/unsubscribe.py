"""`/u/{token}`: one click stops it, whether a person clicks or a mail program does.

Rules:
1. Only POST unsubscribes: link scanners GET everything.
2. Whoever has the token may stop the mails, and do nothing else: no cookie, no login, no redirect.
3. Unsubscribing twice is fine; an ended subscription shows that it has ended.
4. A mail is stopped wholly: the link of a digest ends all that come in it, and a link with `all=1`, as in
   reminders, all of that subscriber's subscriptions at the address.

Source: RFC 8058 (one-click), RFC 2369 section 3.2.
"""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse

from services.runtime.database import Connection, Pool
from services.runtime.settings import Settings
from services.runtime.vault import token_hash
from services.storage import subscriptions
from services.subscribers.forms import FORM_TYPES, read_form
from services.subscribers.pages import Render, renderer
from services.subscribers.transaction import transact

#: A confirmation is a few dozen bytes; multipart adds its boundaries.
_BODY_BYTES = 8_192
_CONFIRMATIONS = (("List-Unsubscribe", "One-Click"), ("confirm", "1"))
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {
                "schema": {
                    "type": "object",
                    "properties": {"List-Unsubscribe": {"type": "string", "enum": ["One-Click"]}},
                }
            }
            for media_type in FORM_TYPES
        },
    }
}
_Token = Annotated[str, Path(description="The token in the link of a message")]
_Every = Annotated[bool, Query(alias="all", description="All subscriptions at the address")]


def router(pool: Pool, settings: Settings) -> APIRouter:
    """Make the routes by which owners stop their subscriptions."""
    routes = APIRouter(tags=["unsubscribe"], default_response_class=HTMLResponse)
    render = renderer(settings.templates_dir)

    @routes.head("/u/{token}", include_in_schema=False)
    @routes.get("/u/{token}", responses={404: {"description": "An unknown link"}})
    async def ask(token: _Token, request: Request) -> HTMLResponse:
        """Ask for confirmation; changes nothing."""
        async with pool.acquire() as connection:
            row = await subscriptions.by_token(connection, token_hash(token))
        return _page(render, "unsubscribe", request, row)

    @routes.post(
        "/u/{token}",
        openapi_extra=_BODY,
        responses={
            400: {"description": "No confirmation; nothing changed"},
            404: {"description": "An unknown link"},
        },
    )
    async def unsubscribe(token: _Token, request: Request, every: _Every = False) -> HTMLResponse:
        """End the subscription at once, and cancel what it is owed (RFC 8058). Idempotent.

        With it end the others whose opportunities come in the same digest.
        """
        if not _confirmed(await read_form(request, _BODY_BYTES)):
            return render("unconfirmed", 400, _accepted_language(request))
        row = await transact(pool, lambda connection: _end(connection, token_hash(token), every=every))
        return _page(render, "unsubscribed", request, row)

    return routes


async def _end(connection: Connection, digest: bytes, *, every: bool) -> subscriptions.Row | None:
    row = await subscriptions.by_token(connection, digest)
    if row is not None:
        await subscriptions.end_mails(connection, row["id"], "unsubscribed", every=every)
    return row


def _page(render: Render, name: str, request: Request, row: subscriptions.Row | None) -> HTMLResponse:
    if row is None:
        return render("unknown", 404, _accepted_language(request))
    page = "unsubscribed" if row["status"] == "ended" else name
    shown = {key: row[key] for key in ("subscriber", "channel", "destination", "can_return")}
    return render(page, 200, row["language"], token=request.path_params["token"], **shown)


def _accepted_language(request: Request) -> str:
    return request.headers.get("accept-language", "")


def _confirmed(form: Mapping[str, str]) -> bool:
    return any(form.get(name) == value for name, value in _CONFIRMATIONS)
