"""Reads a message that came back about a mail that was sent.

Rules:
1. Only what is about the address counts as hard. A full mailbox, a size or a policy (5.7.x) may be
   about the moment, the mail or ourselves, so it is soft, whatever the code's first digit.
2. No address is kept of what was read, and no more than a line of what the other side said.
3. Anything may come in: what cannot be read is nothing, and reading it has a bound.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from enum import StrEnum
from typing import Any
from uuid import UUID

from flufl.bounce import all_failures

from services.domain.reason import one_line
from services.domain.verp import token_of

#: A report stands before the mail it returns, so its end says nothing new.
_READ_BYTES = 128 * 1024
#: Every level of nesting needs one of these words, and every part a line of its own: more is no report.
_NESTING = re.compile(rb"boundary|message/|multipart/", re.IGNORECASE)
_MOST_NESTING = 24
_PART = re.compile(rb"[\r\n]--")
_MOST_PARTS = 500
_DETAIL_LENGTH = 300
#: The patterns for odd bounces take time with the square of a line; those of RFC 5322 are no longer.
_ODD_BYTES = 32 * 1024
_LINE_BYTES = 998

_STATUS = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")
_REPLY = re.compile(r"(?<![\d.])[245]\d\d(?![\d.])")
_ADDRESS = re.compile(r"[^\s<>,;:\"'()\[\]]+@[^\s<>,;:\"'()\[\]]+")
_WORDS = re.compile(r"[\s<>,;\"]+")
_MESSAGE_ID = re.compile(r"<?([0-9a-f]{32})@[^\s<>]+>?", re.IGNORECASE)
#: Where relays write to whom a message came, and what a report tells of the mail it is about.
_RECIPIENT_HEADERS = ("X-Original-To", "Delivered-To", "Envelope-To", "To")
_SENDER_HEADERS = ("Return-Path", "Original-Mail-From", "X-Original-Return-Path")

#: Source: RFC 5965 section 7.3; the others (not-spam, auth-failure) are nobody's complaint.
_COMPLAINTS = frozenset({"abuse", "fraud", "virus", "opt-out", "other"})
#: Source: RFC 3463 sections 3.2 to 3.8; final codes that are not about the address.
_NOT_THE_ADDRESS = re.compile(r"5\.(?:1\.[78]|2\.[234]|3\.\d+|4\.(?!1$|4$)\d+|5\.\d+|6\.\d+|7\.\d+)")


class Kind(StrEnum):
    """What a message that came back says."""

    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"
    DELAYED = "delayed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Bounce:
    """What came back about a delivery; `status` is an RFC 3463 code, `detail` a line without addresses."""

    delivery_id: UUID
    kind: Kind
    status: str | None = None
    detail: str | None = None


def read_bounce(raw: bytes, envelope_to: str = "") -> Bounce | None:
    """Read a message that came back; None when it is about no delivery, or is built to be hard to read.

    `envelope_to` is to whom it came; without it, or when it names no delivery, the message is asked.
    Never raises. Source: RFC 3464 (reports), RFC 5965 (complaints).
    """
    head = raw[:_READ_BYTES]
    if len(_NESTING.findall(head)) > _MOST_NESTING or len(_PART.findall(head)) > _MOST_PARTS:
        return None
    try:
        return _read(head, envelope_to)
    except Exception:  # the parser of the standard library, too, breaks on headers made for it
        return None


def read_refusal(delivery_id: UUID, answer: str) -> Bounce:
    """Read what the other side answered when it refused a mail for good.

    Without a status (RFC 3463) in it, nobody can tell a mailbox that is not there from a mail that was
    not liked, so it is soft.
    """
    status = _status("", answer)
    kind = Kind.SOFT if status is None else _failure(status, "")
    return Bounce(delivery_id, kind, status, _line(answer))


_Read = tuple[Kind, str | None, str]


def _read(head: bytes, envelope_to: str) -> Bounce | None:
    message = message_from_bytes(head)
    parts = list(message.walk())
    token = token_of(envelope_to) or _token_in(parts)
    if token is None:
        return None
    kind, status, detail = _complaint(parts) or _report(parts) or _odd(_short(head))
    return Bounce(UUID(token), kind, status, _line(detail))


def _short(head: bytes) -> Message:
    lines = head[:_ODD_BYTES].splitlines()
    return message_from_bytes(b"\n".join(line[:_LINE_BYTES] for line in lines))


def _token_in(parts: Sequence[Message]) -> str | None:
    """Find the delivery: to whom it came, who sent the mail it returns, or that mail's Message-ID."""
    found = (_token_under(_RECIPIENT_HEADERS, parts[0]), *map(_token_of_mail, _returned(parts)))
    return next(filter(None, found), None)


def _returned(parts: Sequence[Message]) -> Iterator[Message]:
    """Give what tells of the mail that a report is about: its fields, and the mail or its headers."""
    inside = False
    for part in parts[1:]:
        if part.get_content_type() == "text/rfc822-headers":
            yield _headers_of(part)
        elif inside or part.get_content_maintype() == "message":
            inside = True
            yield part


def _token_of_mail(mail: Message) -> str | None:
    if token := _token_under(_SENDER_HEADERS, mail):
        return token
    found = _MESSAGE_ID.fullmatch(_value(mail, "Message-ID"))
    return found[1].lower() if found else None


def _token_under(names: Sequence[str], part: Message) -> str | None:
    words = (word for name in names for word in _WORDS.split(" ".join(_values(part, name))))
    return next(filter(None, map(token_of, words)), None)


def _complaint(parts: Sequence[Message]) -> _Read | None:
    """Read a complaint (RFC 5965 section 3); reports of the same form about other things are none."""
    for part in parts:
        if part.get_content_type() == "message/feedback-report":
            kind = _value(_headers_of(part), "Feedback-Type").lower()
            return (Kind.COMPLAINT if kind in _COMPLAINTS else Kind.OTHER), None, kind
    return None


def _report(parts: Sequence[Message]) -> _Read | None:
    """Read a delivery report (RFC 3464 section 2.3); where it tells of several, the worst."""
    for part in parts:
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            groups = [group for group in _groups(part) if _value(group, "Action")]
            read = [_read_group(group) for group in groups]
            return min(read, key=lambda found: _WORST.index(found[0]), default=None)
    return None


_WORST = (Kind.HARD, Kind.SOFT, Kind.DELAYED, Kind.OTHER, Kind.COMPLAINT)


def _groups(part: Message) -> Sequence[Message]:
    payload: Any = part.get_payload()
    if isinstance(payload, list):
        return [item for item in payload if isinstance(item, Message)]
    return [message_from_bytes(text) for text in re.split(rb"\r?\n\s*\r?\n", _body(part)) if text.strip()]


def _read_group(group: Message) -> _Read:
    action = _value(group, "Action").lower()
    detail = _value(group, "Diagnostic-Code")
    status = _status(_value(group, "Status"), detail)
    if action == "delayed":
        return Kind.DELAYED, status, detail
    if action != "failed":
        return Kind.OTHER, status, detail
    return _failure(status, detail), status, detail


def _failure(status: str | None, detail: str) -> Kind:
    if status is None:
        found = _REPLY.search(detail)
        return Kind.HARD if found and found[0].startswith("5") else Kind.SOFT
    return Kind.HARD if status.startswith("5.") and not _NOT_THE_ADDRESS.fullmatch(status) else Kind.SOFT


def _status(given: str, detail: str) -> str | None:
    """Take the status, or the one that the other side's words hold where that says more."""
    stated, said = _STATUS.search(given), _STATUS.search(detail)
    if said and (stated is None or (stated[0].endswith(".0.0") and said[0][0] == stated[0][0])):
        return said[0]
    return stated[0] if stated else None


def _odd(message: Message) -> _Read:
    """Read what is no report: bounces in their maker's own form, or anything else."""
    temporary, permanent = _failures(message)
    if not temporary and not permanent:
        return Kind.OTHER, None, ""  # its words may be somebody's, such as when they are back
    text = "\n".join(_texts(message))
    found = _STATUS.search(text)
    status = found[0] if found else None
    if not permanent:
        return Kind.SOFT, status, _around(text, found)
    return (Kind.HARD if status is None else _failure(status, "")), status, _around(text, found)


def _failures(message: Message) -> tuple[frozenset[bytes], frozenset[bytes]]:
    if "From" not in message:
        message["From"] = "<>"  # one detector takes it for granted, and would stop those after it
    try:
        return all_failures(message)
    except Exception:  # detectors written for the mails of one server; any other mail may break them
        return frozenset(), frozenset()


def _texts(message: Message) -> Iterator[str]:
    for part in message.walk():
        if part.get_content_type() == "message/rfc822":
            return
        if part.get_content_maintype() == "text":
            yield _body(part).decode("utf-8", "replace")


def _around(text: str, found: re.Match[str] | None) -> str:
    if found is None:
        return ""
    start = text.rfind("\n", 0, found.start()) + 1
    return text[start : start + 4 * _DETAIL_LENGTH].partition("\n\n")[0]


def _headers_of(part: Message) -> Message:
    payload: Any = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        return payload[0]
    return message_from_bytes(_body(part).lstrip())


def _body(part: Message) -> bytes:
    body: Any = part.get_payload(decode=True)
    return body if isinstance(body, bytes) else b""


def _values(part: Message, name: str) -> list[str]:
    return [str(value) for value in part.get_all(name, [])]


def _value(part: Message, name: str) -> str:
    return one_line(str(part.get(name) or ""))


def _line(text: str) -> str | None:
    """Shorten to a line without addresses: who it was about stands with the delivery."""
    said = one_line(text[: 4 * _DETAIL_LENGTH])
    whole_words = said if len(text) <= 4 * _DETAIL_LENGTH else said.rpartition(" ")[0]
    line = _ADDRESS.sub("…", whole_words)
    return (line if len(line) <= _DETAIL_LENGTH else line[: _DETAIL_LENGTH - 1] + "…") or None
