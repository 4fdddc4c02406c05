"""`/portal/leave`: ends everything of a subscriber, after saying what that means."""

from fastapi import APIRouter, Response

from services.runtime.database import Connection
from services.runtime.vault import token_hash
from services.storage import portal, sessions, subscribers
from services.subscribers.portal.visits import Anybody, SignedIn, Visit


def add(routes: APIRouter) -> None:
    """Add the page that asks, and the one that says goodbye."""

    @routes.get("/portal/leave")
    async def ask_to_leave(visit: SignedIn) -> Response:
        return await _ask(visit)

    @routes.post("/portal/leave")
    async def leave(visit: SignedIn) -> Response:
        if visit.form["sure"] != "1":
            sentence = visit.speech.gettext("Tick the box to say that you are sure.")
            return await _ask(visit, 422, {"sure": sentence})
        await visit.change(lambda connection: _end(connection, visit))
        answer = visit.to("/portal/left")
        visit.site.cookies.forget_session(answer)
        return answer

    @routes.get("/portal/left")
    async def say_goodbye(visit: Anybody) -> Response:
        return visit.page("left")


async def _ask(visit: Visit, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    rows = await visit.read(lambda connection: portal.subscriptions(connection, visit.subscriber_id))
    live = sum(row["status"] != "ended" for row in rows)
    return visit.page("leave", status, live=live, errors=errors or {})


async def _end(connection: Connection, visit: Visit) -> None:
    await subscribers.end(connection, visit.me["slug"], "left")
    await sessions.end(connection, token_hash(visit.token))
