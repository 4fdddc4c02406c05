"""How things stand, in words: a delivery, a subscription, an attempt.

Every `Standing` has a word that says it all; its tone only colours it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from services.domain.matching import Filter
from services.domain.reason import procedure_name, region_name
from services.domain.speech import Speech, later
from services.domain.standing import standing


@dataclass(frozen=True, slots=True)
class Standing:
    """How something stands: `tone` is good, busy, quiet or bad."""

    tone: str
    word: str
    more: str = ""


_DELIVERY = {
    "pending": ("busy", later("Waiting")),
    "sending": ("busy", later("Being sent")),
    "retrying": ("busy", later("Will be tried again")),
    "unknown": ("busy", later("Being checked")),
    "sent": ("good", later("Sent")),
    "failed": ("bad", later("Not delivered")),
    "suppressed": ("quiet", later("Not sent")),
    "expired": ("quiet", later("Too late to send")),
    "cancelled": ("quiet", later("Not sent any more")),
}
_SUBSCRIPTION = {
    "pending": ("busy", later("To be confirmed")),
    "active": ("good", later("Active")),
    "paused": ("quiet", later("Paused")),
    "disabled": ("bad", later("Switched off")),
    "ended": ("quiet", later("Stopped")),
}
_RECEIPTS = {
    "hard": ("bad", later("Came back")),
    "soft": ("bad", later("Came back")),
    "complaint": ("bad", later("Reported as unwanted")),
    "passed_on": ("good", later("Passed on")),
}
_KINDS = {
    "published": later("New opportunities"),
    "updated": later("Changes to opportunities"),
    "withdrawn": later("Withdrawn opportunities"),
    "closed": later("Closed opportunities"),
    "awarded": later("Awarded opportunities"),
}
_AUDIENCE = {"start-up": later("Start-ups"), "scale-up": later("Scale-ups"), "sme": later("SMEs")}
_ERRORS = {
    "timeout": later("no answer in time"),
    "dns": later("the host name was not found"),
    "connection_refused": later("the connection was refused"),
    "connection_reset": later("the connection was broken off"),
    "connection_failed": later("no connection could be made"),
    "certificate": later("the certificate is not valid"),
    "tls": later("no secure connection could be made"),
    "redirect": later("it sent us to another address, and we do not follow that"),
    "blocked_address": later("the address leads to a network where we may not send"),
    "bad_url": later("the address cannot be used"),
    "gone": later("it said that it is gone (410)"),
    "challenge_not_answered": later("our question was not answered"),
    "no_consent": later("our question was not answered"),
    "bad_secret": later("its secret cannot sign"),
    "protocol": later("the answer was not valid HTTP"),
}


def delivery(row: Any, said: Speech, zone: tzinfo) -> Standing:
    """Say how a delivery stands; what came back after it was sent comes first."""
    for kind in ("complaint", "hard", "soft"):
        if kind in row["receipts"]:
            tone, word = _RECEIPTS[kind]
            return Standing(tone, said.gettext(word))
    tone, word = _DELIVERY[row["state"]]
    return Standing(tone, said.gettext(word), _when(row, said, zone) or reason(row["reason"], said))


def subscription(row: Any, said: Speech, zone: tzinfo) -> Standing:
    """Say how a subscription stands."""
    tone, word = _SUBSCRIPTION[row["status"]]
    more = reason(row["status_reason"], said)
    if row["status"] == "ended":
        more = said.gettext("since %(day)s", day=said.day(row["ended_at"], zone))
    return Standing(tone, said.gettext(word), more)


def reason(code: str | None, said: Speech) -> str:
    """Say why something stands as it does; an unknown reason is not said."""
    sentence = standing(code, said)
    return sentence if sentence != code else error(code, said, sentence=True)


def error(code: str | None, said: Speech, *, sentence: bool = False) -> str:
    """Say what went wrong in an attempt."""
    if not code:
        return ""
    if code.startswith("http_"):
        text = said.gettext("it answered with status %(status)s", status=code.removeprefix("http_"))
    elif code in _ERRORS:
        text = said.gettext(_ERRORS[code])
    else:
        return ""
    return f"{text[:1].upper()}{text[1:]}." if sentence else text


def _between(wanted: Filter, said: Speech) -> str:
    value = wanted.value
    if value is None:
        return ""
    low, high = ("" if end is None else said.money(end, value.currency) for end in (value.min, value.max))
    if low and high:
        return said.gettext("%(low)s to %(high)s", low=low, high=high)
    return said.gettext("from %(low)s", low=low) if low else said.gettext("up to %(high)s", high=high)


def _when(row: Any, said: Speech, zone: tzinfo) -> str:
    if row["state"] == "sent":
        return said.short(row["settled_at"], zone)
    if row["state"] != "retrying":
        return ""
    at = said.gettext("from %(moment)s", moment=said.short(row["next_attempt_at"], zone))
    return f"{at}. {reason(row['reason'], said)}".strip()


def kind(code: str, said: Speech) -> str:
    """Name a kind of message that a filter can ask for."""
    return said.gettext(_KINDS[code]) if code in _KINDS else code


def audience(code: str, said: Speech) -> str:
    """Name for whom an opportunity is meant; one that we do not know keeps its name."""
    return said.gettext(_AUDIENCE[code]) if code in _AUDIENCE else code


def hour(number: int, said: Speech) -> str:
    """Write a whole hour of the day: 8.00 in Dutch."""
    return said.time(datetime(2000, 1, 1, number, tzinfo=UTC), UTC)


def weekday(number: int, said: Speech) -> str:
    """Name a day of the week; 1 is Monday (ISO 8601)."""
    name: str = said.locale.days["format"]["wide"][number - 1]
    return name


def cadence(code: str, clock: Any, said: Speech) -> str:
    """Say how often, and at what time by the clock of a subscriber (digest_hour, digest_weekday)."""
    at = hour(clock["digest_hour"], said)
    if code == "daily":
        return said.gettext("every day at %(time)s", time=at)
    if code == "weekly":
        return said.gettext("every %(day)s at %(time)s", day=weekday(clock["digest_weekday"], said), time=at)
    return said.gettext("at once")


def criteria(wanted: Filter, said: Speech) -> list[tuple[str, str]]:
    """Say what a filter asks for: each criterion and its values. Nothing for one that asks for all."""
    kinds = [str(item).removeprefix("opportunity.") for item in wanted.types]
    found = [
        (said.gettext("Regions"), said.listed([region_name(code, said) for code in wanted.regions], 8)),
        (said.gettext("Themes"), said.listed(wanted.themes, 8)),
        (said.gettext("CPV codes"), said.listed(wanted.cpv, 8)),
        (said.gettext("For whom"), said.listed([audience(code, said) for code in wanted.audience], 8)),
        (
            said.gettext("Procedures"),
            said.listed([procedure_name(code, said) for code in wanted.procedures], 8),
        ),
        (said.gettext("Value"), _between(wanted, said)),
        (said.gettext("Words"), wanted.text.strip()),
        (said.gettext("Messages"), said.listed([kind(code, said) for code in kinds], 8)),
    ]
    return [(name, values) for name, values in found if values]
