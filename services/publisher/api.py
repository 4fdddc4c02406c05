"""`POST /v1/events`: takes opportunities in, and answers once they are remembered."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from services.domain.cloudevents import to_kafka
from services.domain.event import BATCH, STRUCTURED, Event
from services.domain.opportunity import Opportunity, Reference
from services.domain.problems import Invalid
from services.publisher.formats import Batch, UnknownForm, read_posted
from services.runtime.database import Pool
from services.runtime.settings import Settings
from services.runtime.web.auth import Guard
from services.runtime.web.body import read_body
from services.runtime.web.problems import Refused, invalid, problem, respond
from services.storage import events
from services.storage.events import Accepted

_SCHEMA = {"$ref": "/schemas/opportunity.json"}
_EVENT = {"type": "object", "required": ["specversion", "id", "source", "type", "data"]}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            STRUCTURED: {"schema": _EVENT},
            BATCH: {"schema": {"type": "array", "items": _EVENT}},
            "application/json": {"schema": _SCHEMA},
        },
    }
}


def router(pool: Pool, guard: Guard, settings: Settings, wake_relay: Callable[[], None]) -> APIRouter:
    """Make the routes by which events come in."""
    routes = APIRouter(tags=["events"])

    @routes.post(
        "/v1/events",
        status_code=202,
        openapi_extra=_BODY,
        dependencies=[guard.needs("publish")],
        responses={
            409: {"description": "The identity is known with other content"},
            413: {},
            415: {},
            422: {},
        },
    )
    async def publish(request: Request) -> Response:
        """Take in one event, or a batch of them; 202 says that they are remembered.

        Idempotent on `source` and `id`: the same event again is a `duplicate`.
        """
        posted = _read(request.headers, await read_body(request, settings.body_limit_bytes), settings)
        if isinstance(posted, Batch):
            return await _accept_batch(pool, posted, settings, wake_relay)
        if refused := _unfit(posted, settings.body_limit_bytes):
            return respond(refused)
        (accepted,) = await _accept(pool, [posted], wake_relay)
        answer = _answer(accepted, posted)
        return respond(answer) if accepted.status == "conflict" else JSONResponse(answer, 202)

    @routes.get("/schemas/opportunity.json", response_class=JSONResponse)
    async def opportunity_schema() -> dict[str, Any]:
        """The JSON Schema of an opportunity."""
        return opportunity_json_schema(settings.public_url)

    @routes.get("/schemas/notice.json", response_class=JSONResponse)
    async def notice_schema() -> dict[str, Any]:
        """The JSON Schema of what a withdrawal, closing or award says of an opportunity."""
        return notice_json_schema(settings.public_url)

    return routes


def opportunity_json_schema(public_url: str) -> dict[str, Any]:
    """Write the JSON Schema (2020-12) of the data of `opportunity.published` and `.updated`."""
    return _json_schema(public_url, "opportunity", Opportunity)


def notice_json_schema(public_url: str) -> dict[str, Any]:
    """Write the JSON Schema (2020-12) of the data of `opportunity.withdrawn`, `.closed` and `.awarded`."""
    return _json_schema(public_url, "notice", Reference)


def _json_schema(public_url: str, name: str, model: type[BaseModel]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{public_url.rstrip('/')}/schemas/{name}.json",
        **model.model_json_schema(),
    }


def _read(headers: Any, body: bytes, settings: Settings) -> Event | Batch:
    try:
        return read_posted({k.lower(): v for k, v in headers.items()}, body, source=settings.event_source)
    except UnknownForm as error:
        raise Refused(415, f"The {error}.") from None


async def _accept(pool: Pool, items: list[Event], wake_relay: Callable[[], None]) -> list[Accepted]:
    async with pool.acquire() as connection, connection.transaction():
        accepted = await events.accept(connection, items, accepted_by="http", relay=True)
    wake_relay()
    return accepted


async def _accept_batch(
    pool: Pool, batch: Batch, settings: Settings, wake_relay: Callable[[], None]
) -> Response:
    items, limit = batch.items, settings.batch_limit
    if len(items) > limit:
        raise Refused(413, f"The batch has {len(items)} events; send at most {limit} at a time.")
    refused = [_unfit(item, settings.body_limit_bytes) for item in items]
    good = [item for item, why in zip(items, refused, strict=True) if why is None and isinstance(item, Event)]
    accepted = await _accept(pool, good, wake_relay) if good else []
    answers = map(_answer, accepted, good)
    return JSONResponse([why or next(answers) for why in refused], 202)


def _unfit(item: Event | Invalid, limit: int) -> dict[str, Any] | None:
    """Say why an item is not accepted; None when it is fit to be."""
    if isinstance(item, Invalid):
        return invalid(item)
    # what is written to Kafka may be longer than what was posted, and planners hold to the same limit
    size = len(to_kafka(item)[1])
    if size > limit:
        return problem(413, f"The event takes {size} bytes as a CloudEvent; at most {limit} are accepted.")
    return None


def _answer(accepted: Accepted, event: Event) -> dict[str, Any]:
    if accepted.status != "conflict":
        return {"id": str(accepted.id), "status": accepted.status}
    detail = (
        f"An event with the id {event.id!r} of this source is known with other content; "
        "send a change as a new event, with a higher version."
    )
    return problem(409, detail, id=str(accepted.id))
