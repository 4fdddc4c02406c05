"""`/v1/deliveries` and `/v1/replays`: how deliveries stand, and one call to put it right."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from services.dispatcher import replaying
from services.dispatcher.replaying import ReplayRequest
from services.domain.delivery import State
from services.runtime.database import Pool
from services.runtime.web.auth import Guard
from services.runtime.web.problems import Refused
from services.storage import ledger
from services.storage.ledger import Which, delivery_json, next_cursor


def router(pool: Pool, guard: Guard) -> APIRouter:
    """Make the routes of deliveries and replays."""
    routes = APIRouter(tags=["deliveries"])
    reading = [guard.needs("read", "operate")]

    @routes.get("/v1/deliveries", dependencies=reading)
    async def list_deliveries(
        event: UUID | None = None,
        subscriber: Annotated[str | None, Query(max_length=100)] = None,
        channel: Annotated[str | None, Query(max_length=50)] = None,
        state: State | None = None,
        cursor: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """List deliveries, newest first."""
        which = Which(event, subscriber, channel, None if state is None else str(state))
        async with pool.acquire() as connection:
            rows = await ledger.deliveries_page(connection, which, cursor=cursor, limit=limit)
        return {"items": [delivery_json(row) for row in rows], "next": next_cursor(rows, limit)}

    @routes.get("/v1/deliveries/{delivery_id}", dependencies=reading)
    async def show_delivery(delivery_id: UUID) -> dict[str, Any]:
        """Show a delivery with its attempts."""
        async with pool.acquire() as connection:
            found = await ledger.delivery_in_full(connection, delivery_id)
        if found is None:
            raise Refused(404, "There is no delivery with this id.")
        return found

    @routes.post("/v1/deliveries/{delivery_id}/retry", status_code=202, dependencies=[guard.needs("operate")])
    async def retry(delivery_id: UUID) -> dict[str, Any]:
        """Try a waiting delivery now; send a final one once more, as a new delivery."""
        async with pool.acquire() as connection, connection.transaction():
            return await replaying.retry(connection, delivery_id)

    @routes.post("/v1/replays", dependencies=[guard.needs("operate")])
    async def replay(request: ReplayRequest) -> dict[str, Any]:
        """Send final deliveries once more; with `dry_run`, only say which."""
        async with pool.acquire() as connection, connection.transaction():
            return await replaying.replay(connection, request)

    return routes
