"""`/portal/feeds`: the secret addresses of a subscriber's own feeds, and new ones in their place."""

from fastapi import APIRouter, Response

from services.runtime.database import Connection
from services.runtime.vault import new_token, token_hash
from services.storage import feeds, portal
from services.subscribers.portal.visits import SignedIn, Visit

#: What each is for is said in the template.
FORMATS = ("atom", "rss", "json", "ics", "ldes")


def add(routes: APIRouter) -> None:
    """Add the page of the addresses, and the one that asks before they change."""

    @routes.get("/portal/feeds")
    async def show_feeds(visit: SignedIn) -> Response:
        row = await visit.read(lambda connection: portal.feed_token(connection, visit.subscriber_id))
        urls = _addresses(visit.site.home, visit.site.vault.open(row["sealed"])) if row else {}
        return visit.page("feeds", urls=urls, since=row["created_at"] if row else None)

    @routes.get("/portal/feeds/new-address")
    async def ask_for_new(visit: SignedIn) -> Response:
        return visit.page("feeds_new")

    @routes.post("/portal/feeds/new-address")
    async def renew(visit: SignedIn) -> Response:
        await visit.change(lambda connection: _renew(connection, visit))
        return visit.to("/portal/feeds?done=feeds")


def _addresses(home: str, token: str) -> dict[str, str]:
    start = f"{home}/feeds/{token}/opportunities"
    return {kind: f"{start}/ldes" if kind == "ldes" else f"{start}.{kind}" for kind in FORMATS}


async def _renew(connection: Connection, visit: Visit) -> None:
    token = new_token()
    sealed = visit.site.vault.seal(token)
    await feeds.set_token(connection, visit.subscriber_id, token_hash(token), sealed)
