"""What feeds say, in their language: how an opportunity stands, and its facts in a few lines."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from services.domain.reason import one_line, region_name
from services.runtime.language import speech, spoken
from services.subscribers.feeds.entry import LANGUAGE, Entry

_SAID = speech(spoken(LANGUAGE))
FEED_TITLE = _SAID.gettext("Opportunities")
FEED_SUBTITLE = _SAID.gettext("Public-sector opportunities for start-ups and scale-ups")
AUTHOR = "Omroeper"
STATUSES = {
    "published": _SAID.pgettext("how an opportunity stands", "New"),
    "updated": _SAID.pgettext("how an opportunity stands", "Changed"),
    "withdrawn": _SAID.pgettext("how an opportunity stands", "Withdrawn"),
    "closed": _SAID.pgettext("how an opportunity stands", "Closed"),
    "awarded": _SAID.pgettext("how an opportunity stands", "Awarded"),
}
_FACTS = (
    _SAID.gettext("Status"),
    _SAID.gettext("Buyer"),
    _SAID.gettext("Deadline"),
    _SAID.gettext("Estimated value"),
    _SAID.gettext("Region"),
    _SAID.gettext("CPV"),
    _SAID.gettext("Reference"),
)
# Feeds say the same of the same opportunities again and again, and these take a while to write.
_day_and_time = lru_cache(maxsize=8_192)(_SAID.day_and_time)
_money = lru_cache(maxsize=8_192, typed=True)(_SAID.money)
#: In front of the link by which a reader tells it.
PASSED_ON = _SAID.gettext("Passed it on? Let us know")
#: In front of the title, so that every reader shows that nothing can be sent in any more.
_OVER = {"withdrawn", "closed", "awarded"}


def headline(entry: Entry) -> str:
    """Write the title on one line, and before it that the opportunity is over, if it is."""
    title = one_line(entry.title.text) or entry.subject
    return f"{STATUSES[entry.status]}: {title}" if entry.status in _OVER else title


def deadline_of(entry: Entry) -> str:
    """Write on one line that this is the deadline of the opportunity, for a calendar."""
    return _SAID.gettext("Deadline: %(headline)s", headline=headline(entry))


def body(entry: Entry) -> str:
    """Write what an entry says, in plain text: how it stands, what it is about, its facts, where to reply."""
    over = _SAID.gettext("This opportunity was withdrawn.") if entry.status == "withdrawn" else ""
    facts = "\n".join(f"{name}: {value}" for name, value in _facts(entry) if value)
    told = f"{PASSED_ON}: {entry.passed_on_url}" if entry.passed_on_url else ""
    return "\n\n".join(part for part in (over, entry.text.text if entry.text else "", facts, told) if part)


def _facts(entry: Entry) -> Iterable[tuple[str, str]]:
    data, deadline = entry.data, entry.deadline
    values = (
        STATUSES[entry.status],
        one_line(entry.buyer),
        _day_and_time(deadline) if deadline else "",
        _value(data.get("estimated_value")),
        ", ".join(region_name(code, _SAID) for code in data.get("regions") or ()),
        ", ".join(data.get("cpv") or ()),
        entry.subject,
    )
    return zip(_FACTS, values, strict=True)


def _value(value: Mapping[str, Any] | None) -> str:
    if not value:
        return ""
    amount = _money(value["amount"], value.get("currency", "EUR"))
    return _SAID.gettext("%(amount)s (excluding VAT)", amount=amount)
