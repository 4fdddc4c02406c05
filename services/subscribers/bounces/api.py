"""`/v1/bounces` and `/v1/suppressions`: what came back about mails, and who is left alone for it."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from services.runtime.database import Pool
from services.runtime.web.auth import ApiKey, Guard
from services.runtime.web.body import read_body
from services.runtime.web.problems import Refused
from services.storage import bounces, subscriptions
from services.storage.ledger import next_cursor
from services.subscribers import answers
from services.subscribers.bounces.intake import LARGEST, Intake
from services.subscribers.transaction import transact

_MEDIA_TYPE = "message/rfc822"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}
_Limit = Annotated[int, Query(ge=1, le=1000, description="Items on a page")]
_Cursor = Annotated[UUID | None, Query(description="`next` of the page before")]
_Released = Annotated[bool, Query(description="With those that are over")]


class Accepted(BaseModel):
    """The message was taken in; what it was about is not told."""

    status: Literal["accepted"] = "accepted"


class Suppression(BaseModel):
    """A subscription that is left alone; `until` is null where somebody has to release it."""

    id: UUID
    subscription: UUID
    subscriber: str
    reason: str = Field(description="bounced or complained")
    since: datetime
    until: datetime | None
    released_at: datetime | None
    released_by: str | None


class SuppressionPage(BaseModel):
    """A page of suppressions; `next` is the cursor of the page after it, null at the end."""

    items: list[Suppression]
    next: str | None


class ReleaseIn(BaseModel):
    """How to release: with `requeue` what was missed meanwhile is sent after all."""

    model_config = ConfigDict(extra="forbid", strict=True)

    requeue: bool = False


class Released(BaseModel):
    """The subscription is active again; `requeued` counts the deliveries that it is owed once more."""

    subscription: UUID
    status: str
    requeued: int


def router(pool: Pool, guard: Guard) -> APIRouter:
    """Make the routes of bounces and suppressions."""
    routes = APIRouter(tags=["bounces"])
    _take(routes, Intake(pool), guard)
    _list(routes, pool, guard)
    _release(routes, pool, guard)
    return routes


def _take(routes: APIRouter, intake: Intake, guard: Guard) -> None:
    refusals = {**answers.problems(413), 415: {"description": f"The body is not {_MEDIA_TYPE}"}}

    @routes.post(
        "/v1/bounces",
        status_code=202,
        dependencies=[guard.needs("operate")],
        openapi_extra=_BODY,
        responses=refusals,
    )
    async def take_bounce(request: Request) -> Accepted:
        """Take in a message that came back, as it was received. Idempotent.

        To whom it came has to stand in it (X-Original-To, Delivered-To, Envelope-To or To), or the mail
        it returns. The answer is the same for what is about no delivery of ours.
        """
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MEDIA_TYPE:
            raise Refused(415, f"Send the message itself, as {_MEDIA_TYPE}.")
        await intake.take(await read_body(request, LARGEST))
        return Accepted()


def _list(routes: APIRouter, pool: Pool, guard: Guard) -> None:
    @routes.get(
        "/v1/suppressions",
        dependencies=[guard.needs("read", "operate")],
        responses=answers.problems(422),
    )
    async def list_suppressions(
        cursor: _Cursor = None, limit: _Limit = 50, released: _Released = False
    ) -> SuppressionPage:
        """List the subscriptions that are left alone, newest first."""
        async with pool.acquire() as connection:
            rows = await bounces.listed(connection, before=cursor, released=released, limit=limit)
        items = [Suppression(**dict(row)) for row in rows]
        return SuppressionPage(items=items, next=next_cursor(rows, limit))


def _release(routes: APIRouter, pool: Pool, guard: Guard) -> None:
    operator = guard.needs("operate")

    @routes.post("/v1/suppressions/{subscription_id}/release", responses=answers.problems(404, 409, 422))
    async def release_suppression(
        subscription_id: UUID, key: Annotated[ApiKey, operator], how: ReleaseIn | None = None
    ) -> Released:
        """Make a suppressed subscription active again, and send what it missed if you say so.

        What has passed its deadline, was withdrawn or was sent once more already is left out.
        """
        requeue = how is not None and how.requeue
        requeued = await transact(
            pool, lambda c: bounces.release(c, subscription_id, by=key.name, requeue=requeue)
        )
        if requeued is None:
            raise await _not_suppressed(pool, subscription_id)
        return Released(subscription=subscription_id, status="active", requeued=requeued)


async def _not_suppressed(pool: Pool, subscription_id: UUID) -> Refused:
    async with pool.acquire() as connection:
        if await subscriptions.get(connection, subscription_id) is None:
            return Refused(404, "There is no subscription with this id.")
    return Refused(409, "The subscription is not suppressed.")
