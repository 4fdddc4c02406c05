"""Atom 1.0. Source: RFC 4287, and RFC 5005 section 3 for pages."""

from datetime import UTC, datetime

from services.subscribers.feeds import words
from services.subscribers.feeds.entry import LANGUAGE, Entry, Page
from services.subscribers.feeds.markup import Element, add, document, element

MEDIA_TYPE = "application/atom+xml"
_NAMESPACE = "http://www.w3.org/2005/Atom"
#: Names of vocabularies, not addresses.
_SCHEMES = "urn:omroeper:"


def render(page: Page) -> bytes:
    """Write a page."""
    feed = element("feed", {"xmlns": _NAMESPACE, "xml:lang": LANGUAGE})
    add(feed, "id", page.feed_id.urn)
    add(feed, "title", words.FEED_TITLE)
    add(feed, "subtitle", words.FEED_SUBTITLE)
    add(feed, "updated", instant(page.updated_at))
    add(add(feed, "author"), "name", words.AUTHOR)
    for relation, url in links(page).items():
        add(feed, "link", None, {"rel": relation, "href": url, "type": MEDIA_TYPE})
    add(feed, "link", None, {"rel": "alternate", "href": page.home_url})
    for entry in page.entries:
        _entry(feed, entry)
    return document(feed)


def links(page: Page) -> dict[str, str]:
    """Give the addresses around a page, by relation (RFC 5005 section 3)."""
    around = {"self": page.url, "previous": page.previous_url, "next": page.next_url}
    return {relation: url for relation, url in around.items() if url}


def instant(at: datetime) -> str:
    """Write an instant in UTC (RFC 3339).

    >>> instant(datetime.fromisoformat("2027-01-12T12:00:00.5+01:00"))
    '2027-01-12T11:00:00.500000Z'
    """
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _entry(feed: Element, entry: Entry) -> None:
    node = add(feed, "entry")
    add(node, "id", entry.urn)
    add(node, "title", words.headline(entry), _language(entry.title.language))
    add(node, "published", instant(entry.published_at))
    add(node, "updated", instant(entry.changed_at))
    add(add(node, "author"), "name", entry.buyer or words.AUTHOR)
    if entry.url:
        add(node, "link", None, {"rel": "alternate", "href": entry.url})
    if entry.passed_on_url:
        add(node, "link", None, {"rel": "related", "href": entry.passed_on_url, "title": words.PASSED_ON})
    status = {"scheme": f"{_SCHEMES}status", "term": entry.status, "label": words.STATUSES[entry.status]}
    add(node, "category", None, status)
    for scheme, terms in (("theme", entry.tags), ("cpv", entry.data.get("cpv") or ())):
        for term in terms:
            add(node, "category", None, {"scheme": _SCHEMES + scheme, "term": term})
    add(node, "content", words.body(entry), {"type": "text", **_language(_spoken(entry))})


def _spoken(entry: Entry) -> str:
    return entry.text.language if entry.text else ""


def _language(language: str) -> dict[str, str]:
    """Say in which language a text is where it is not that of the feed."""
    return {"xml:lang": language} if language and not language.startswith("nl") else {}
