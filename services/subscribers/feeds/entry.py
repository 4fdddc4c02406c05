"""What a feed is made of: an opportunity as it stands, and a page of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

from services.domain.opportunity import text_in

#: The language of the feeds; a text that is not there in Dutch says which language it has.
LANGUAGE = "nl-BE"
#: When a feed without entries was last updated.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IN_URLS = "!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True, slots=True)
class Text:
    """A text and its language."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An opportunity as it stands. `position` is that of its last change in the stream.

    `passed_on_url` is where its one reader tells that it passed the opportunity on; empty for the public.
    """

    id: UUID
    subject: str
    status: str
    version: int
    position: int
    published_at: datetime
    changed_at: datetime
    deadline: datetime | None
    data: Mapping[str, Any]
    passed_on_url: str = ""

    @property
    def urn(self) -> str:
        """Its name for ever."""
        return self.id.urn

    @property
    def title(self) -> Text:
        """Its title; the opportunity's id when it has none."""
        return chosen(self.data.get("title")) or Text("", self.subject)

    @property
    def text(self) -> Text | None:
        """What it is about: the summary, else the description."""
        return chosen(self.data.get("summary")) or chosen(self.data.get("description"))

    @property
    def buyer(self) -> str:
        """Who buys; empty when that is not said."""
        return str((self.data.get("buyer") or {}).get("name") or "")

    @property
    def url(self) -> str:
        """Where to read on; empty when that is not said."""
        return safe_url(self.data.get("url"))

    @property
    def tags(self) -> tuple[str, ...]:
        """Its themes."""
        return tuple(str(theme) for theme in self.data.get("themes") or ())


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a feed: its entries, the feed's name for ever, and the addresses around it.

    `cursor` is the position after which a receiver of this page goes on, where it may; `resume_url` is
    where it does.
    """

    feed_id: UUID
    home_url: str
    feed_url: str
    url: str
    entries: Sequence[Entry]
    updated_at: datetime = EPOCH
    next_url: str | None = None
    previous_url: str | None = None
    cursor: int | None = None
    resume_url: str | None = None


_READ = [name for name in Entry.__slots__ if name not in ("id", "passed_on_url")]


def entry_of(row: Any, passed_on_url: str) -> Entry:
    """Read an entry from its row."""
    return Entry(
        id=opportunity_id(row["source"], row["subject"]),
        passed_on_url=passed_on_url,
        **{name: row[name] for name in _READ},
    )


def opportunity_id(source: str, subject: str) -> UUID:
    """Name an opportunity for ever (RFC 9562, version 5), by the source that spoke of it first."""
    # a line break is in neither, so no two pairs make the same name
    return uuid5(NAMESPACE_URL, f"{source}\n{subject}")


def chosen(texts: Mapping[str, str] | None) -> Text | None:
    """Choose the Dutch text, else the English one, else any; None when there is none."""
    given = {language: text for language, text in (texts or {}).items() if text}
    text = text_in(given, LANGUAGE)
    wanted = (LANGUAGE, "nl", "en", *given)
    return next((Text(key, text) for key in wanted if given.get(key) == text), None)


def safe_url(url: object) -> str:
    """Write an https link with only what a URI may hold (RFC 3986); empty in place of anything else.

    >>> safe_url("https://stad.example/a b?q=<é>"), safe_url("javascript:alert(1)")
    ('https://stad.example/a%20b?q=%3C%C3%A9%3E', '')
    """
    try:
        acceptable = isinstance(url, str) and urlsplit(url).scheme == "https" and bool(urlsplit(url).hostname)
    except ValueError:
        acceptable = False
    return quote(str(url).encode("utf-8", "replace"), safe=_IN_URLS) if acceptable else ""
