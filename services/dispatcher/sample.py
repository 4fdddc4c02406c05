"""The opportunity that a test event carries: like any other, and clearly none."""

from typing import Any

#: Its deadline has passed long ago, so nobody who takes it for real can act on it.
OPPORTUNITY: dict[str, Any] = {
    "id": "test",
    "version": 1,
    "title": {
        "nl": "TEST – dit is geen echte opdracht",
        "en": "TEST – this is not a real opportunity",
    },
    "summary": {
        "nl": "Komt dit bericht aan, dan werkt je koppeling. Je hoeft er niets mee te doen.",
        "en": "If this message arrives, your connection works. There is nothing to be done with it.",
    },
    "buyer": {"name": "TEST"},
    "procedure": "open",
    "nature": "services",
    "estimated_value": {"amount": 100_000, "currency": "EUR"},
    "cpv": ["72000000"],
    "themes": ["test"],
    "regions": ["BE2"],
    "audience": ["start-up"],
    "published_at": "2020-01-01T09:00:00+01:00",
    "deadline": "2020-02-01T12:00:00+01:00",
    "url": "https://example.org/test",
}
