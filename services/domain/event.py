"""The event: the immutable fact that an opportunity appeared or changed (CloudEvents 1.0).

Rules:
1. `source` + `id` is the identity; the same identity with other content is a conflict.
2. The content is `type`, `subject` and the normalised `data`; attributes such as `time` may differ
   between two tries of the same producer.
3. `subject` is the opportunity's id; absent, it is taken from the data; different, it is refused.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from services.domain.opportunity import Opportunity, Reference, instant, parse_opportunity
from services.domain.problems import Invalid, Problem, from_pydantic, pointer

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
ATTRIBUTE = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,499}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class EventType(StrEnum):
    """What happened to the opportunity."""

    PUBLISHED = "opportunity.published"
    UPDATED = "opportunity.updated"
    WITHDRAWN = "opportunity.withdrawn"
    CLOSED = "opportunity.closed"
    AWARDED = "opportunity.awarded"


#: Pushed unless a filter names types itself; the others are for feeds.
PUSHED = (EventType.PUBLISHED, EventType.UPDATED, EventType.WITHDRAWN)
#: These carry the opportunity; the others are notices about one.
WHOLE = (EventType.PUBLISHED, EventType.UPDATED)


@dataclass(frozen=True, slots=True)
class Event:
    """A valid event, ready to be stored."""

    source: str
    id: str
    type: EventType
    subject: str
    version: int
    time: datetime | None
    data: dict[str, Any]
    traceparent: str | None = None

    @property
    def deadline(self) -> datetime | None:
        """The opportunity's deadline, if it has one."""
        return instant(self.data.get("deadline"))

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of what makes two events the same (rule 2)."""
        content = {"type": self.type, "subject": self.subject, "data": self.data}
        return hashlib.sha256(canonical_json(content)).digest()

    def as_cloudevent(self) -> dict[str, Any]:
        """Write it in structured mode (CloudEvents JSON format 1.0.2, section 3)."""
        attributes: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": str(self.type),
            "subject": self.subject,
            "datacontenttype": "application/json",
        }
        if self.time:
            attributes["time"] = self.time.isoformat()
        if self.traceparent:
            attributes["traceparent"] = self.traceparent
        return {**attributes, "data": self.data}


def canonical_json(value: object) -> bytes:
    """Write JSON in one fixed way, so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse_cloudevent(attributes: object) -> Event:
    """Read a structured CloudEvent; raise `Invalid` with a pointer per bad field."""
    if not isinstance(attributes, dict):
        raise Invalid(Problem("", "must be a JSON object: a CloudEvent"))
    problems = _attribute_problems(attributes)
    event_type = _event_type(attributes, problems)
    data = _data(attributes, event_type, problems)
    if problems or data is None or event_type is None:
        raise Invalid(*problems)
    if attributes.get("subject") not in (None, data.id):
        raise Invalid(Problem("/subject", f"must be the opportunity's id, {data.id!r}, or be left out"))
    return Event(
        source=attributes["source"],
        id=attributes["id"],
        type=event_type,
        subject=data.id,
        version=data.version or 1,
        time=_time(attributes.get("time")),
        data=data.as_json(),
        traceparent=_traceparent(attributes.get("traceparent")),
    )


def bare_event(data: object, *, source: str) -> Event:
    """Wrap a bare opportunity as the event that it was published: identity `{id}:{version}`."""
    opportunity = parse_opportunity(data)
    return Event(
        source=source,
        id=f"{opportunity.id}:{opportunity.version}",
        type=EventType.PUBLISHED,
        subject=opportunity.id,
        version=opportunity.version,
        time=opportunity.published_at,
        data=opportunity.as_json(),
    )


def _attribute_problems(attributes: dict[str, Any]) -> list[Problem]:
    problems = []
    if attributes.get("specversion") != "1.0":
        problems.append(Problem("/specversion", 'must be "1.0"'))
    for name in ("id", "source"):
        value = attributes.get(name)
        if not isinstance(value, str) or not ATTRIBUTE.fullmatch(value):
            problems.append(Problem(pointer(name), "must be 1 to 500 printable ASCII characters"))
    if not _is_json(attributes.get("datacontenttype")):
        problems.append(Problem("/datacontenttype", "must be application/json"))
    if attributes.get("data_base64") is not None:
        problems.append(Problem("/data_base64", "is not read; send the opportunity as JSON in data"))
    try:
        _time(attributes.get("time"))
    except ValueError:
        problems.append(Problem("/time", "must be an RFC 3339 instant with an offset"))
    return problems


def _is_json(content_type: object) -> bool:
    # null is unset (CloudEvents JSON format section 2.2); media types know no case
    if content_type is None:
        return True
    return isinstance(content_type, str) and content_type.split(";")[0].strip().lower() == "application/json"


def _event_type(attributes: dict[str, Any], problems: list[Problem]) -> EventType | None:
    try:
        return EventType(attributes.get("type", ""))
    except ValueError:
        known = ", ".join(EventType)
        problems.append(Problem("/type", f"must be one of {known}"))
        return None


def _data(
    attributes: dict[str, Any], event_type: EventType | None, problems: list[Problem]
) -> Opportunity | Reference | None:
    data = attributes.get("data")
    try:
        if event_type is None or event_type in WHOLE:
            return parse_opportunity(data, "data")
        return _reference(data, attributes.get("subject"))
    except Invalid as invalid:
        problems.extend(invalid.problems)
        return None


def _reference(data: object, subject: object) -> Reference:
    """Read the data of a notice about a known opportunity; its id may stand in the subject alone."""
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise Invalid(Problem("/data", "must be a JSON object"))
    try:
        return Reference.model_validate({"id": subject, **data} if isinstance(subject, str) else data)
    except ValidationError as error:
        raise from_pydantic(error, "data") from None


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("not an instant")
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError("no offset")
    if not 1900 <= time.year <= 2999:
        raise ValueError("out of range")
    return time


def _traceparent(value: object) -> str | None:
    """Keep a W3C trace context if it is one; a bad one is ignored, as its specification asks."""
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None
