"""`GET /v1/passings`: what subscribers told of passing on."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.runtime.database import Pool
from services.runtime.web.auth import Guard
from services.storage import passings
from services.storage.ledger import next_cursor
from services.subscribers import answers

_Event = Annotated[UUID | None, Query(description="Of this event's opportunity, in all its versions")]
_Subscriber = Annotated[str | None, Query(description="By this subscriber (slug)")]
_Cursor = Annotated[UUID | None, Query(description="`next` of the page before")]
_Limit = Annotated[int, Query(ge=1, le=1000, description="Items on a page")]


class Passing(BaseModel):
    """That a subscriber passed an opportunity on by one way; `subscriber` is a slug."""

    id: UUID
    subscriber: str
    opportunity: str
    event: UUID = Field(description="What the link was about by which it was told last")
    way: str
    startups: int | None = Field(description="To about how many; null: not known, 0: nobody suited")
    door: str = Field(description="Where that link stood: mail, webhook, feed or portal")
    at: datetime
    corrected_at: datetime | None


class PassingPage(BaseModel):
    """A page of passings; `next` is the cursor of the page after it, null at the end."""

    items: list[Passing]
    next: str | None


def router(pool: Pool, guard: Guard) -> APIRouter:
    """Make the route that lists what was told."""
    routes = APIRouter(tags=["passing on"])

    @routes.get(
        "/v1/passings", dependencies=[guard.needs("read", "operate")], responses=answers.problems(422)
    )
    async def list_passings(
        event: _Event = None, subscriber: _Subscriber = None, cursor: _Cursor = None, limit: _Limit = 100
    ) -> PassingPage:
        """List what was told of passing on, newest first."""
        async with pool.acquire() as connection:
            rows = await passings.page(
                connection, event=event, subscriber=subscriber, cursor=cursor, limit=limit
            )
        return PassingPage(items=[_passing(row) for row in rows], next=next_cursor(rows, limit))

    return routes


def _passing(row: Any) -> Passing:
    return Passing(opportunity=row["subject"], event=row["event_id"], **dict(row))
