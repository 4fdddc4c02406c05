"""`/u/{token}/preferences`: one subscription changed by the link in its messages, without signing in.

Rules:
1. Whoever has the link may change how this one subscription speaks, and sees nothing else of its subscriber.
2. What is changed holds at once, for what is owed already, too.
3. The link is the key: no cookie, and its forms are bound to it.
"""

from typing import Any

from fastapi import APIRouter, Response

from services.runtime.database import Connection
from services.runtime.vault import token_hash
from services.storage import portal, subscriptions
from services.subscribers.portal import words
from services.subscribers.portal.subscriptions import Times, read_times, set_times, times_of
from services.subscribers.portal.visits import Holder, Visit

_ROUTE = "/u/{token}/preferences"
#: What the page says after each button.
_DONE = {"save": "saved", "pause": "paused", "resume": "resumed"}


def add(routes: APIRouter) -> None:
    """Add the page behind the link."""

    @routes.get(_ROUTE)
    async def show_preferences(token: str, visit: Holder) -> Response:
        row = await visit.read(lambda connection: portal.by_token(connection, token_hash(token)))
        return visit.page("errors/unknown", 404) if row is None else _page(visit, token, row, times_of(row))

    @routes.post(_ROUTE)
    async def save_preferences(token: str, visit: Holder) -> Response:
        row = await visit.read(lambda connection: portal.by_token(connection, token_hash(token)))
        if row is None:
            return visit.page("errors/unknown", 404)
        visit = visit.speaking(row["language"])
        times = read_times(visit, row["channel"])
        action = visit.form.chosen("action", ("save", "pause", "resume"), "save")
        if action == "save" and times.errors:
            return _page(visit, token, row, times, 422)
        reminders = "reminders" in visit.form
        await visit.change(lambda connection: _change(connection, row, action, times, reminders))
        return visit.to(f"/u/{token}/preferences?done={_DONE[action]}")


def _page(visit: Visit, token: str, row: Any, times: Times, status: int = 200) -> Response:
    visit = visit.speaking(row["language"])
    return visit.page(
        "preferences",
        status,
        token=token,
        reminders="reminders" in visit.form if times.errors else row["reminders"],
        subscription=row,
        standing=words.subscription(row, visit.speech, visit.zone),
        times=times,
        errors=times.errors,
    )


async def _change(connection: Connection, row: Any, action: str, times: Times, reminders: bool) -> None:
    subscription_id = row["id"]
    held = await subscriptions.lock(connection, subscription_id)
    status = held["status"] if held else "ended"
    if action == "save" and status != "ended":
        await set_times(connection, subscription_id, times, reminders)
    elif action == "pause" and status == "active":
        await subscriptions.pause(connection, subscription_id)
    elif action == "resume" and status == "paused":
        await subscriptions.resume(connection, subscription_id)
