"""`/portal/deliveries/{id}`: one delivery from near by: each attempt, what was sent and what was answered."""

import json
from datetime import UTC
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from services.domain.delivery import FINAL
from services.domain.proof import origin_of
from services.runtime.database import Connection
from services.storage import ledger, portal, replays
from services.storage.replays import Wanted
from services.subscribers.portal import words
from services.subscribers.portal.overview import told
from services.subscribers.portal.visits import SignedIn, Visit


def add(routes: APIRouter) -> None:
    """Add the page of one delivery, and the button that sends it once more."""

    @routes.get("/portal/deliveries/{delivery_id}")
    async def show_delivery(delivery_id: UUID, visit: SignedIn) -> Response:
        async with visit.site.pool.acquire() as connection:
            row = await visit.delivery(connection, delivery_id)
            attempts = await ledger.attempts(connection, delivery_id)
            obstacle = await _obstacle(connection, row)
        return visit.page(
            "delivery",
            told=told(visit, [row])[0],
            delivery=row,
            attempts=[(attempt, words.error(attempt["error"], visit.speech)) for attempt in attempts],
            request=request_of(visit, row, attempts) if row["channel"] == "webhook" and attempts else "",
            again=obstacle is None,
        )

    @routes.post("/portal/deliveries/{delivery_id}/again")
    async def send_again(delivery_id: UUID, visit: SignedIn) -> Response:
        new = await visit.change(lambda connection: _again(connection, visit, delivery_id))
        return visit.to(f"/portal/deliveries/{new}?done={'again' if new != delivery_id else 'not-again'}")


def request_of(visit: Visit, row: Any, attempts: list[ledger.Row]) -> str:
    """Write the last request of a webhook down, its signature masked."""
    link = visit.site.webhook_link(visit.subscriber_id, row["event_id"])
    content = {
        "type": row["type"],
        "timestamp": row["occurred_at"].astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": {**row["data"], "_omroeper": {"passed_on_url": link}},
    }
    headers = {
        "content-type": "application/json",
        "webhook-request-origin": origin_of(visit.site.settings.public_url),
        "webhook-id": str(row["id"]),
        "webhook-timestamp": str(int(attempts[-1]["started_at"].timestamp())),
        "webhook-signature": "v1,••••••••",
    }
    lines = [f"POST {row['target']}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\n".join(lines) + "\n\n" + json.dumps(content, indent=2, ensure_ascii=False)


async def _obstacle(connection: Connection, row: portal.Row) -> str | None:
    """Tell what stands in the way of sending it once more; None: nothing."""
    if row["state"] not in FINAL:
        return "owed"
    found = await replays.candidates(connection, Wanted(delivery=row["id"]), limit=1)
    return found[0].obstacle if found else "again"


async def _again(connection: Connection, visit: Visit, delivery_id: UUID) -> UUID:
    """Owe it once more, and give the new id; the old one when something is in the way."""
    row = await visit.delivery(connection, delivery_id)
    if await _obstacle(connection, row) is not None:
        return delivery_id
    return (await replays.replay(connection, [delivery_id])).get(delivery_id, delivery_id)
