"""What feeds say in Dutch: how an opportunity stands, and its facts in a few lines."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.domain.reason import money, one_line, region_name
from services.subscribers.feeds.entry import Entry

FEED_TITLE = "Opdrachten"
FEED_SUBTITLE = "Overheidsopdrachten voor start-ups en scale-ups"
AUTHOR = "Omroeper"
_BRUSSELS = ZoneInfo("Europe/Brussels")
_MONTHS = (
    "januari",
    "februari",
    "maart",
    "april",
    "mei",
    "juni",
    "juli",
    "augustus",
    "september",
    "oktober",
    "november",
    "december",
)
STATUSES = {
    "published": "Nieuw",
    "updated": "Gewijzigd",
    "withdrawn": "Ingetrokken",
    "closed": "Afgesloten",
    "awarded": "Gegund",
}
#: In front of the link by which a reader tells it.
PASSED_ON = "Doorgegeven? Laat het weten"
#: In front of the title, so that every reader shows that nothing can be sent in any more.
_OVER = {"withdrawn", "closed", "awarded"}


def headline(entry: Entry) -> str:
    """Write the title on one line, and before it that the opportunity is over, if it is."""
    title = one_line(entry.title.text) or entry.subject
    return f"{STATUSES[entry.status]}: {title}" if entry.status in _OVER else title


def body(entry: Entry) -> str:
    """Write what an entry says, in plain text: how it stands, what it is about, its facts, where to reply."""
    over = "Deze opdracht is ingetrokken." if entry.status == "withdrawn" else ""
    facts = "\n".join(f"{name}: {value}" for name, value in _facts(entry) if value)
    told = f"{PASSED_ON}: {entry.passed_on_url}" if entry.passed_on_url else ""
    return "\n\n".join(part for part in (over, entry.text.text if entry.text else "", facts, told) if part)


def day_and_time(moment: datetime) -> str:
    """Write the date and time in Brussels.

    >>> day_and_time(datetime.fromisoformat("2027-01-12T11:00:00+00:00"))
    '12 januari 2027 om 12.00 uur'
    """
    local = moment.astimezone(_BRUSSELS)
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year} om {local.hour}.{local:%M} uur"


def _facts(entry: Entry) -> list[tuple[str, str]]:
    data = entry.data
    return [
        ("Status", STATUSES[entry.status]),
        ("Koper", one_line(entry.buyer)),
        ("Uiterste indieningsdatum", day_and_time(entry.deadline) if entry.deadline else ""),
        ("Geraamde waarde", _value(data.get("estimated_value"))),
        ("Regio", ", ".join(region_name(code, "nl") for code in data.get("regions") or ())),
        ("CPV", ", ".join(data.get("cpv") or ())),
        ("Referentie", entry.subject),
    ]


def _value(value: Mapping[str, Any] | None) -> str:
    if not value:
        return ""
    return f"{money(value['amount'], value.get('currency', 'EUR'), 'nl')} (exclusief btw)"
