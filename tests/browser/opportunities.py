"""An opportunity with all there can be in one, some of it awkward to show."""

from typing import Any

FULL: dict[str, Any] = {
    "id": "KBS-2026-7",
    "version": 3,
    "title": {
        "nl": "Slimme sensoren die de slijtage van kaaimuren en havenoeverversterkingen dag en nacht meten",
        "en": "Smart sensors that measure the wear of quay walls, day and night",
    },
    "summary": {
        "nl": "De haven zoekt een start-up die meet hoe het met de kaaimuren gaat.\n\n"
        "Eén voorstel van hoogstens twee bladzijden volstaat.\nDe vijf beste teams komen pitchen.",
        "en": "The port wants a start-up that measures how its quay walls are doing.\n\nTwo pages will do.",
    },
    "buyer": {"name": "Agentschap Maritieme Dienstverlening & Kust", "url": "https://mdk.example/"},
    "procedure": "neg-wo-call",
    "nature": "services",
    "estimated_value": {"amount": 139_000, "currency": "EUR"},
    "cpv": ["72000000", "73100000"],
    "themes": ["mobiliteit", "slimme stad", "water"],
    "regions": ["BE21", "BE25"],
    "audience": ["start-up"],
    "published_at": "2026-11-24T09:00:00+01:00",
    "questions_until": "2098-12-01T12:00:00+01:00",
    "deadline": "2099-01-12T12:00:00+01:00",
    "contact": {"name": "Team Innovatie", "email": "innovatie-en-aanbestedingen@mdk.example"},
    "url": "https://marktplaats.example/opdrachten/7?taal=nl&bron=omroeper",
    "documents": [
        {"title": "Bestek", "url": "https://marktplaats.example/bestek.pdf"},
        {"url": f"https://marktplaats.example/documenten/{'zonder-titel-' * 8}.pdf"},
    ],
}
