"""CloudEvents on Kafka and HTTP: the structured and binary modes of the bindings.

Rules:
1. The mode is told by the content type: `application/cloudevents…` is structured, whatever other
   `ce_` headers stand beside it; else `ce_` headers make it binary.
2. Whatever bytes come in, the answer is an Event or `Invalid`.

Source: CloudEvents 1.0.2, Kafka protocol binding section 3 and HTTP protocol binding section 3.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from services.domain.event import STRUCTURED, Event, canonical_json, parse_cloudevent
from services.domain.problems import Invalid
from services.domain.strict_json import parse_json

_STRUCTURED = "application/cloudevents"
_KAFKA_PREFIX = "ce_"
_HTTP_PREFIX = "ce-"
_ESCAPED = re.compile(r"\\(.)")


def from_kafka(headers: Iterable[tuple[str, bytes | None]] | None, value: bytes | None) -> Event:
    """Read a record of the events topic; raise `Invalid` for anything that is not an event.

    The record's key only places it on a partition; one that is not the opportunity's id loses nothing.
    """
    texts = {name.lower(): _text(raw) for name, raw in headers or ()}
    if value is None:
        raise Invalid.whole("is a tombstone (no value); events are never deleted from the topic")
    if _is_structured(texts) or f"{_KAFKA_PREFIX}id" not in texts:
        return parse_cloudevent(parse_json(value))
    return _binary(texts, _KAFKA_PREFIX, value)


def from_http_binary(headers: Mapping[str, str], body: bytes) -> Event:
    """Read an HTTP request in binary mode; raise `Invalid` with a pointer per bad attribute."""
    lower = {name.lower(): value for name, value in headers.items()}
    texts = {
        name: _decoded(value) if name.startswith(_HTTP_PREFIX) else value for name, value in lower.items()
    }
    return _binary(texts, _HTTP_PREFIX, body)


def is_http_binary(headers: Mapping[str, str]) -> bool:
    """Tell whether any attribute stands in the headers, be it that others are missing."""
    return any(name.lower().startswith(_HTTP_PREFIX) for name in headers)


def to_kafka(event: Event) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Write an event in structured mode: key, value, headers."""
    headers = [("content-type", f"{STRUCTURED}; charset=UTF-8".encode())]
    if event.traceparent:
        headers.append(("traceparent", event.traceparent.encode()))
    return event.subject.encode(), canonical_json(event.as_cloudevent()), headers


def _is_structured(texts: Mapping[str, str]) -> bool:
    return texts.get("content-type", "").strip().lower().startswith(_STRUCTURED)


def _binary(texts: Mapping[str, str], prefix: str, body: bytes) -> Event:
    attributes: dict[str, Any] = {
        name.removeprefix(prefix): text for name, text in texts.items() if name.startswith(prefix)
    }
    attributes.pop("data", None)  # the data is the body; an attribute cannot stand for it
    if texts.get("content-type"):
        attributes["datacontenttype"] = texts["content-type"]
    if "traceparent" in texts:
        attributes.setdefault("traceparent", texts["traceparent"])
    return parse_cloudevent({**attributes, "data": parse_json(body) if body else None})


def _decoded(value: str) -> str:
    """Undo double quotes, then percent-encoding (HTTP protocol binding section 3.1.3.2)."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    return unquote(value)


def _text(raw: bytes | str | None) -> str:
    if raw is None:
        return ""
    text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
    return text.replace("\x00", "�")
