"""`GET /v1/events`: for each event who was owed it, and how each delivery stands."""

from collections import defaultdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from services.domain.matching import title_of
from services.runtime.database import Connection, Pool
from services.runtime.web.auth import Guard
from services.runtime.web.problems import Refused
from services.storage import ledger, passings
from services.storage.ledger import Which, delivery_json, next_cursor
from services.storage.passings import SecondHop

Limit = Annotated[int, Query(ge=1, le=1000, description="Items on a page")]
Cursor = Annotated[UUID | None, Query(description="`next` of the page before")]


def router(pool: Pool, guard: Guard) -> APIRouter:
    """Make the routes of the ledger."""
    routes = APIRouter(tags=["events"], dependencies=[guard.needs("read", "operate")])

    @routes.get("/v1/events")
    async def list_events(cursor: Cursor = None, limit: Limit = 50) -> dict[str, Any]:
        """List the events, newest first."""
        async with pool.acquire() as connection:
            rows = await ledger.events_page(connection, before=cursor, limit=limit)
            matched = await ledger.matched(connection, [row["id"] for row in rows])
        items = [{**event_json(row), "matched": matched.get(row["id"], 0)} for row in rows]
        return {"items": items, "next": next_cursor(rows, limit)}

    @routes.get("/v1/events/{event_id}")
    async def show_event(event_id: UUID, cursor: Cursor = None, limit: Limit = 500) -> dict[str, Any]:
        """Show the ledger of an event; its deliveries in pages, oldest first.

        `sent` says that it was taken; `receipts` counts which of those came back later (`hard`, `soft`,
        `complaint`). `passed_on` and `proposals` are about its opportunity, in all versions.
        """
        async with pool.acquire() as connection:
            found = await ledger_json(connection, event_id, cursor=cursor, limit=limit)
        if found is None:
            raise Refused(404, "There is no event with this id.")
        return found

    return routes


async def ledger_json(
    connection: Connection, event_id: UUID, *, cursor: UUID | None, limit: int
) -> dict[str, Any] | None:
    """Write the ledger of an event, as of one moment; None when there is no such event."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        row = await ledger.event(connection, event_id)
        if row is None:
            return None
        counts = await ledger.counts(connection, event_id)
        came_back = await ledger.came_back(connection, event_id)
        page = await ledger.deliveries_page(
            connection, Which(event=event_id), cursor=cursor, limit=limit, oldest_first=True
        )
        receipts = await ledger.receipts(connection, [item["id"] for item in page])
        hop = await passings.second_hop(connection, row["subject"])
    return {
        **event_json(row),
        **_totals(counts),
        "receipts": came_back,
        "passed_on": hop.passed_on,
        "proposals": hop.proposals,
        "deliveries": [_delivery(item, receipts.get(item["id"], []), hop) for item in page],
        "next": next_cursor(page, limit),
    }


def event_json(row: Any) -> dict[str, Any]:
    """Write an event for the API, without its data."""
    title = row["title"] if "title" in row else row["data"].get("title")  # a Record has no get
    return {
        "id": str(row["id"]),
        "type": row["type"],
        "subject": row["subject"],
        "version": row["version"],
        "title": title_of({"id": row["subject"], "title": title}, "nl"),
        "source": row["source"],
        "event_id": row["ce_id"],
        "accepted_at": row["accepted_at"],
        "planned_at": row["planned_at"],
        "deadline": row["deadline"],
    }


def _totals(counts: list[Any]) -> dict[str, Any]:
    states: dict[str, int] = defaultdict(int)
    channels: dict[str, dict[str, int]] = defaultdict(dict)
    for row in counts:
        states[row["state"]] += row["count"]
        channels[row["channel"]][row["state"]] = row["count"]
    return {"matched": sum(row["matched"] for row in counts), "states": dict(states), "channels": channels}


def _delivery(row: Any, receipts: list[dict[str, Any]], hop: SecondHop) -> dict[str, Any]:
    return {
        **delivery_json(row),
        "first_attempt_at": row["first_attempt_at"],
        "receipts": receipts,
        "passed_on": row["subscriber"] in hop.slugs,
    }
