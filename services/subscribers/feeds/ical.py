"""A calendar of deadlines. Source: RFC 5545, and RFC 7986 for NAME and REFRESH-INTERVAL."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial

from services.subscribers.feeds import words
from services.subscribers.feeds.entry import Entry, Page
from services.subscribers.feeds.kept import Kept

MEDIA_TYPE = "text/calendar"
_OCTETS = 75
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def render(page: Page, kept: Kept | None = None) -> bytes:
    """Write a calendar with an event per deadline; a withdrawn opportunity's is cancelled.

    Events are kept where they may be: of one stream, in which a position is of one change of one opportunity.
    """
    begin = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Omroeper//Opdrachten//NL",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"NAME:{_text(words.FEED_TITLE)}",
        f"X-WR-CALNAME:{_text(words.FEED_TITLE)}",
        f"URL:{page.feed_url}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        "X-PUBLISHED-TTL:PT1H",
    ]
    write = _event if kept is None else partial(_kept_event, kept)
    return b"".join([_folded(begin), *map(write, page.entries), _folded(["END:VCALENDAR"])])


def fold(line: str) -> str:
    """Break a line after at most 75 octets, never within a character (section 3.1).

    >>> fold("é" * 40).split("\\r\\n")[1].encode().decode()
    ' ééé'
    """
    if len(line) <= _OCTETS and line.isascii():
        return line + "\r\n"
    octets, pieces = line.encode("utf-8", "replace"), []
    while len(octets) > _OCTETS:
        cut = _OCTETS
        while octets[cut] & 0xC0 == 0x80:  # the middle of a character
            cut -= 1
        pieces.append(octets[:cut])
        octets = b" " + octets[cut:]
    return b"\r\n".join([*pieces, octets, b""]).decode()


def _folded(lines: Iterable[str]) -> bytes:
    return "".join(map(fold, lines)).encode()


def _kept_event(kept: Kept, entry: Entry) -> bytes:
    key = (entry.position, entry.changed_at, entry.published_at, entry.id, entry.status, entry.passed_on_url)
    written = kept.find(key)
    return kept.keep(key, _event(entry)) if written is None else written


def _event(entry: Entry) -> bytes:
    return b"" if entry.deadline is None else _folded(_lines(entry, entry.deadline))


def _lines(entry: Entry, deadline: datetime) -> Sequence[str]:
    withdrawn, changed = entry.status == "withdrawn", _utc(entry.changed_at)
    return [
        "BEGIN:VEVENT",
        f"UID:{entry.id}",
        f"DTSTAMP:{changed}",
        f"CREATED:{_utc(entry.published_at)}",
        f"LAST-MODIFIED:{changed}",
        f"SEQUENCE:{entry.version}",
        f"STATUS:{'CANCELLED' if withdrawn else 'CONFIRMED'}",
        "TRANSP:TRANSPARENT",
        f"DTSTART:{_utc(deadline)}",
        f"SUMMARY:{_text(words.deadline_of(entry))}",
        f"DESCRIPTION:{_text(words.body(entry))}",
        *([f"CATEGORIES:{','.join(_text(tag) for tag in entry.tags)}"] if entry.tags else []),
        *([f"URL:{entry.url}"] if entry.url else []),
        "END:VEVENT",
    ]


def _utc(at: datetime) -> str:
    # in half the time of strftime, and a calendar has thousands
    utc = at.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    return utc.isoformat().replace("-", "").replace(":", "") + "Z"


def _text(text: str) -> str:
    """Escape a text (section 3.3.11), without what a line cannot hold."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    plain = _CONTROLS.sub(" ", unified)
    # a calendar has hundreds of long texts, and a table of characters takes ten times as long
    return plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
