"""JSON Feed 1.1. Source: https://www.jsonfeed.org/version/1.1/"""

import json
from typing import Any

from services.subscribers.feeds import words
from services.subscribers.feeds.atom import instant
from services.subscribers.feeds.entry import LANGUAGE, Entry, Page

MEDIA_TYPE = "application/feed+json"
_FACTS = ("procedure", "nature", "estimated_value", "cpv", "themes", "regions", "audience", "buyer")


def render(page: Page) -> bytes:
    """Write a page; what is ours alone stands under `_omroeper`."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": words.FEED_TITLE,
        "description": words.FEED_SUBTITLE,
        "home_page_url": page.home_url,
        "feed_url": page.feed_url,
        "next_url": page.next_url,
        "language": LANGUAGE,
        "authors": [{"name": words.AUTHOR}],
        "_omroeper": _present({"cursor": page.cursor, "resume_url": page.resume_url}),
        "items": [_item(entry) for entry in page.entries],
    }
    return json.dumps(_present(feed), ensure_ascii=False).encode("utf-8", "replace")


def _item(entry: Entry) -> dict[str, Any]:
    return _present(
        {
            "id": entry.urn,
            "url": entry.url,
            "title": words.headline(entry),
            "content_text": words.body(entry),
            "date_published": instant(entry.published_at),
            "date_modified": instant(entry.changed_at),
            "authors": [{"name": entry.buyer or words.AUTHOR}],
            "tags": [*entry.tags],
            "language": entry.title.language,
            "_omroeper": _present(
                {
                    "reference": entry.subject,
                    "status": entry.status,
                    "version": entry.version,
                    "position": entry.position,
                    "passed_on_url": entry.passed_on_url,
                    "deadline": instant(entry.deadline) if entry.deadline else None,
                    **{name: entry.data.get(name) for name in _FACTS},
                }
            ),
        }
    )


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not there; an empty list stays, because it says so."""
    return {name: value for name, value in fields.items() if value not in (None, "")}
