"""The forms in which events may be posted, told apart by their content type.

Rules:
1. `application/cloudevents+json` is one event, `application/cloudevents-batch+json` a list of them.
2. `application/json` with `ce-` headers is an event in binary mode, with its opportunity as the body.
3. `application/json` without them is a bare opportunity; it was published, that is the event.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.domain.cloudevents import from_http_binary, is_http_binary
from services.domain.event import BATCH, STRUCTURED, Event, bare_event, parse_cloudevent
from services.domain.problems import Invalid
from services.domain.strict_json import parse_json

#: What may be posted, for whoever posts something else.
ACCEPTED_TYPES = (STRUCTURED, BATCH, "application/json")


class UnknownForm(ValueError):
    """The content type is none of ACCEPTED_TYPES."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A posted list: what each item is, in order."""

    items: Sequence[Event | Invalid]


def read_posted(headers: Mapping[str, str], body: bytes, *, source: str) -> Event | Batch:
    """Read what was posted; raise `Invalid` or `UnknownForm`. Header names are lower case.

    `source` is the CloudEvents source of bare opportunities.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == BATCH:
        return _batch(parse_json(body))
    if media_type == STRUCTURED:
        return parse_cloudevent(parse_json(body))
    if media_type != "application/json":
        raise UnknownForm(
            f"content type {media_type or '(none)'!r} is not one of {', '.join(ACCEPTED_TYPES)}"
        )
    if is_http_binary(headers):
        return from_http_binary(headers, body)
    return read_json(parse_json(body), source=source)


def read_json(value: Any, *, source: str) -> Event:
    """Read a CloudEvent or a bare opportunity, whichever it says it is; raise `Invalid`."""
    if isinstance(value, dict) and "specversion" in value:
        return parse_cloudevent(value)
    return bare_event(value, source=source)


def _batch(value: object) -> Batch:
    if not isinstance(value, list):
        raise Invalid.whole("must be a JSON array of CloudEvents")
    return Batch([_item(item) for item in value])


def _item(value: object) -> Event | Invalid:
    try:
        return parse_cloudevent(value)
    except Invalid as invalid:
        return invalid
