"""Pages to look at what `omroeper up` did on one machine: mails caught, webhooks received, the ledger.

They show addresses and mails without a login. So they exist only where we listen on loopback and catch
the mails ourselves, and answer only what was asked of a loopback name, without a proxy in between.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

import services
from services.domain.matching import title_of
from services.domain.passing_on import hops
from services.domain.reason import explain
from services.domain.standing import standing
from services.embedded.mailbox import Mailbox
from services.embedded.receivers import Receivers
from services.runtime.database import Pool
from services.runtime.language import SOURCE, speech
from services.runtime.web.problems import Refused
from services.storage import ledger, passings
from services.storage.ledger import Which

_TEMPLATES = Path(services.__file__).parents[1] / "templates" / "pages"
_LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Render = Callable[..., Response]


def _loopback_only(request: Request) -> None:
    """Refuse other host names and proxies: a page elsewhere must not read ours by a name of its own."""
    proxied = {"forwarded", "x-forwarded-for", "via"} & {name.lower() for name in request.headers}
    if request.url.hostname not in _LOOPBACK or proxied:
        raise Refused(404, "These pages are for this machine only; open them by 127.0.0.1.")


def router(pool: Pool, mailbox: Mailbox, receivers: Receivers | None) -> APIRouter:
    """Make the pages."""
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(_loopback_only)])
    render = partial(_render, _environment())
    _home(routes, render, pool, mailbox, receivers)
    _ledger(routes, render, pool)
    _mails(routes, render, mailbox)
    if receivers:
        _webhooks(routes, render, receivers)
    return routes


def _home(
    routes: APIRouter, render: Render, pool: Pool, mailbox: Mailbox, receivers: Receivers | None
) -> None:
    @routes.get("/")
    async def home() -> Response:
        async with pool.acquire() as connection:
            rows = await ledger.events_page(connection, before=None, limit=50)
            matched = await ledger.matched(connection, [row["id"] for row in rows])
        events = [
            {
                **row,
                "title": title_of({"id": row["subject"], "title": row["title"]}, "nl"),
                "matched": matched.get(row["id"], 0),
            }
            for row in rows
        ]
        hooks = len(receivers.received) if receivers else None
        return render("demo/home.html.j2", events=events, mails=mailbox.count(), hooks=hooks)


def _ledger(routes: APIRouter, render: Render, pool: Pool) -> None:
    @routes.get("/demo/ledger/{event_id}")
    async def show_ledger(event_id: UUID) -> Response:
        async with pool.acquire() as connection:
            event = await ledger.event(connection, event_id)
            if event is None:
                raise Refused(404, "There is no event with this id.")
            rows = await ledger.deliveries_page(
                connection, Which(event=event_id), cursor=None, limit=1000, oldest_first=True
            )
            counts = await ledger.counts(connection, event_id)
            came_back = await ledger.came_back(connection, event_id)
            hop = await passings.second_hop(connection, event["subject"])
        totals: dict[str, int] = {}
        for row in counts:
            totals[row["state"]] = totals.get(row["state"], 0) + row["count"]
        said = speech(SOURCE)
        deliveries = [
            {**row, "why": explain(row["match"], said), "standing": standing(row["reason"], said)}
            for row in rows
        ]
        return render(
            "demo/ledger.html.j2",
            event=event,
            title=title_of(event["data"], "nl"),
            deliveries=deliveries,
            totals=totals,
            hops=hops(
                {
                    "matched": sum(row["matched"] for row in counts),
                    "states": totals,
                    "receipts": came_back,
                    "passed_on": hop.passed_on,
                    "proposals": hop.proposals,
                }
            ),
        )


def _mails(routes: APIRouter, render: Render, mailbox: Mailbox) -> None:
    @routes.get("/demo/mails")
    async def list_mails() -> Response:
        return render("demo/mails.html.j2", mails=mailbox.newest())

    @routes.get("/demo/mails/{name}")
    async def show_mail(name: str) -> Response:
        return render("demo/mail.html.j2", mail=_known(mailbox, name))

    @routes.get("/demo/mails/{name}/html")
    async def show_mail_html(name: str) -> Response:
        # a foreign page, so it may run nothing, load nothing and send nothing
        sandbox = "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        return HTMLResponse(
            _known(mailbox, name).html, headers={**_SECURITY, "Content-Security-Policy": sandbox}
        )

    @routes.get("/demo/mails/{name}/raw")
    async def show_mail_raw(name: str) -> Response:
        return Response(_known(mailbox, name).raw, media_type="text/plain; charset=utf-8", headers=_SECURITY)


def _known(mailbox: Mailbox, name: str) -> Any:
    mail = mailbox.find(name)
    if mail is None:
        raise Refused(404, "There is no such mail.")
    return mail


def _webhooks(routes: APIRouter, render: Render, receivers: Receivers) -> None:
    @routes.get("/demo/webhooks")
    async def list_webhooks() -> Response:
        return render("demo/webhooks.html.j2", received=list(receivers.received))


def _render(environment: Environment, name: str, **values: Any) -> Response:
    return HTMLResponse(environment.get_template(name).render(values), headers=_SECURITY)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["at"] = lambda at: (
        at.astimezone(ZoneInfo("Europe/Brussels")).strftime("%d-%m-%Y %H:%M:%S") if at else "—"
    )
    return environment
