"""`/portal/subscriptions/new`: another mailbox or webhook, active once its owner agreed.

Rules:
1. Nobody is mailed, and no address called, because a third party typed it in: a mailbox confirms by a link, a
   webhook answers a challenge.
2. A secret is shown once, on the page that follows, and never again.
"""

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response

from services.domain.limits import TooOften
from services.domain.problems import Invalid
from services.domain.speech import later
from services.domain.subscriber import SubscriptionIn, parse_subscription
from services.runtime.database import Connection
from services.storage import portal, subscribers
from services.storage.confirmations import SaidNo
from services.storage.left_alone import LeaveAlone
from services.subscribers.portal.subscriptions import live
from services.subscribers.portal.visits import Missing, SignedIn, Visit
from services.subscribers.subscribing import Subscribed, ask_owner, subscribe

MOST = 50
_NEW = "/portal/subscriptions/new"
#: What a target must be.
_TARGETS = {
    "email": later("Enter an e-mail address, such as info@incubator.example."),
    "webhook": later(
        "Enter a public address that begins with https://, without user name, blanks or #; "
        "such as https://incubator.example/hooks."
    ),
}


def add(routes: APIRouter) -> None:
    """Add the pages by which subscriptions begin."""
    _choose(routes)
    _email(routes)
    _webhook(routes)
    _ask_again(routes)


def _choose(routes: APIRouter) -> None:
    @routes.get(_NEW)
    async def choose_channel(visit: SignedIn) -> Response:
        return visit.page("new")


def _email(routes: APIRouter) -> None:
    @routes.get(f"{_NEW}/email")
    async def ask_mailbox(visit: SignedIn) -> Response:
        return visit.page("new_email", value="")

    @routes.post(f"{_NEW}/email")
    async def add_mailbox(visit: SignedIn) -> Response:
        added = await _added(visit, "email")
        if isinstance(added, str):
            return visit.page("new_email", 422, value=visit.form["target"][:254], errors={"target": added})
        return visit.to(f"/portal/subscriptions/{added.id}?done=added")


def _webhook(routes: APIRouter) -> None:
    @routes.get(f"{_NEW}/webhook")
    async def ask_webhook(visit: SignedIn) -> Response:
        return visit.page("new_webhook", value="")

    @routes.post(f"{_NEW}/webhook")
    async def add_webhook(visit: SignedIn) -> Response:
        added = await _added(visit, "webhook")
        if isinstance(added, str):
            return visit.page("new_webhook", 422, value=visit.form["target"][:2000], errors={"target": added})
        row = await visit.read(lambda connection: visit.subscription(connection, added.id))
        return visit.page("secret_once", subscription=row, secret=added.secret, overlap_hours=0)


def _ask_again(routes: APIRouter) -> None:
    @routes.post("/portal/subscriptions/{subscription_id}/confirm")
    async def ask_again(subscription_id: UUID, visit: SignedIn) -> Response:
        async def ask(connection: Connection) -> str:
            row = await live(connection, visit, subscription_id)
            if row["status"] != "pending":
                raise Missing
            await ask_owner(connection, visit.site.vault, subscription_id, row["channel"])
            return "verifying" if row["channel"] == "webhook" else "asked"

        back = f"/portal/subscriptions/{subscription_id}"
        try:
            done = await visit.change(ask)
        except (TooOften, SaidNo):
            return visit.to(f"{back}?done=too-often")
        return visit.to(f"{back}{'/webhook' if done == 'verifying' else ''}?done={done}")


async def _added(visit: Visit, channel: Literal["email", "webhook"]) -> Subscribed | str:
    """Add what the form asks for; or give the sentence that says why not."""
    said, target = visit.speech, visit.form["target"]
    try:
        wanted = parse_subscription(_given(visit, channel, target), visit.site.settings.allowed_networks)
        return await visit.change(lambda connection: _subscribe(connection, visit, wanted))
    except Invalid:
        return said.gettext(_TARGETS[channel])
    except TooOften:
        return said.gettext("This was asked for too often. Try again later.")
    except (SaidNo, LeaveAlone):
        return said.gettext("The owner of this mailbox does not want mails from us. Choose another one.")
    except _Enough:
        return said.gettext("There are enough subscriptions already; stop one first.")
    except _There:
        return said.gettext("You have a subscription to this address already.")


class _Enough(Exception):
    """A subscriber has as many subscriptions as one may make."""


class _There(Exception):
    """The target has a live subscription of this subscriber."""


def _given(visit: Visit, channel: str, target: str) -> dict[str, Any]:
    return {"channel": channel, "target": target, "verify": True, "language": visit.me["language"]}


async def _subscribe(connection: Connection, visit: Visit, wanted: SubscriptionIn) -> Subscribed:
    me = visit.me
    if await subscribers.hold(connection, me["slug"]) is None:
        raise Missing
    rows = await portal.subscriptions(connection, visit.subscriber_id)
    mine = [row["target"] for row in rows if row["status"] != "ended"]
    if len(mine) >= MOST:
        raise _Enough
    if wanted.target.lower() in (target.lower() for target in mine):
        raise _There
    return await subscribe(connection, visit.site.vault, visit.subscriber_id, wanted, me["language"])
