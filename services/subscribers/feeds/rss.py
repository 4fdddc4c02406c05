"""RSS 2.0. Source: the RSS 2.0.11 specification and the RSS Advisory Board's best practices."""

from email.utils import format_datetime
from html import escape

from services.subscribers.feeds import words
from services.subscribers.feeds.atom import instant, links
from services.subscribers.feeds.entry import LANGUAGE, Entry, Page
from services.subscribers.feeds.markup import Element, add, document, element

MEDIA_TYPE = "application/rss+xml"
_ATOM = "http://www.w3.org/2005/Atom"
#: Some readers take titles for HTML and others do not; without these both show the same.
_NO_TAGS = str.maketrans("<>", "‹›")


def render(page: Page) -> bytes:
    """Write a page."""
    rss = element("rss", {"version": "2.0", "xmlns:atom": _ATOM, "xml:lang": LANGUAGE})
    channel = add(rss, "channel")
    add(channel, "title", words.FEED_TITLE)
    add(channel, "link", page.home_url)
    add(channel, "description", words.FEED_SUBTITLE)
    add(channel, "language", LANGUAGE.lower())
    add(channel, "lastBuildDate", format_datetime(page.updated_at))
    add(channel, "ttl", "5")
    for relation, url in links(page).items():
        add(channel, "atom:link", None, {"rel": relation, "href": url, "type": MEDIA_TYPE})
    for entry in page.entries:
        _item(channel, entry)
    return document(rss)


def _item(channel: Element, entry: Entry) -> None:
    item = add(channel, "item")
    add(item, "guid", entry.urn, {"isPermaLink": "false"})
    add(item, "title", words.headline(entry).translate(_NO_TAGS))
    if entry.url:
        add(item, "link", entry.url)
    add(item, "pubDate", format_datetime(entry.published_at))
    add(item, "atom:updated", instant(entry.changed_at))
    add(item, "category", entry.status, {"domain": "urn:omroeper:status"})
    for theme in entry.tags:
        add(item, "category", theme, {"domain": "urn:omroeper:theme"})
    if entry.passed_on_url:
        related = {"rel": "related", "href": entry.passed_on_url, "title": words.PASSED_ON}
        add(item, "atom:link", None, related)
    add(item, "description", _html(entry))


def _html(entry: Entry) -> str:
    """Write the text as HTML, which a description is by custom of all readers."""
    text = escape(words.body(entry)).replace("\n", "<br/>\n")
    url = escape(entry.passed_on_url)
    return text.replace(url, f'<a href="{url}">{url}</a>') if url else text
