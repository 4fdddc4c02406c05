"""`/asyncapi`: the Kafka topics described for programs (AsyncAPI 3.0)."""

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter

from services.domain.delivery import State
from services.domain.event import WHOLE, EventType
from services.publisher.api import notice_json_schema, opportunity_json_schema
from services.runtime.settings import Settings


def router(settings: Settings) -> APIRouter:
    """Make the route of the description."""
    routes = APIRouter(tags=["events"])

    @routes.get("/asyncapi")
    async def asyncapi() -> dict[str, Any]:
        """The Kafka topics: events in, statuses out."""
        return description(settings)

    return routes


def description(settings: Settings) -> dict[str, Any]:
    """Describe the two topics."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Omroeper", "version": version("omroeper")},
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "events": _channel(
                settings.events_topic,
                "Opportunities, as CloudEvents 1.0 in structured or binary mode; key: the opportunity's id.",
                "opportunityEvent",
                "opportunityNotice",
            ),
            "statuses": _channel(
                settings.status_topic,
                "Every recorded change of a delivery, at least once; key: the opportunity's id.",
                "deliveryStatus",
            ),
        },
        "operations": {
            "readEvents": {"action": "receive", "channel": {"$ref": "#/channels/events"}},
            "tellStatuses": {"action": "send", "channel": {"$ref": "#/channels/statuses"}},
        },
        "components": {"messages": _messages(settings)},
    }


def _channel(address: str, text: str, *messages: str) -> dict[str, Any]:
    references = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {"address": address, "description": text, "messages": references}


def _messages(settings: Settings) -> dict[str, Any]:
    status = {
        "type": "object",
        "properties": {
            name: {"type": "string"}
            for name in (
                "delivery",
                "event",
                "event_id",
                "event_source",
                "subscription",
                "subscriber",
                "channel",
            )
        }
        | {"state": {"enum": [str(state) for state in State]}, "attempts": {"type": "integer"}},
    }
    types = [f"delivery.{state}" for state in State]
    notices = [kind for kind in EventType if kind not in WHOLE]
    return {
        "opportunityEvent": _message(list(WHOLE), opportunity_json_schema(settings.public_url)),
        "opportunityNotice": _message(notices, notice_json_schema(settings.public_url)),
        "deliveryStatus": _message(types, status),
    }


def _message(types: list[Any], data: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    payload = {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "source": text,
            "type": {"enum": [str(kind) for kind in types]},
            "subject": {**text, "description": "The opportunity's id"},
            "time": {"type": "string", "format": "date-time"},
            "data": data,
        },
    }
    return {"contentType": "application/cloudevents+json", "payload": payload}
