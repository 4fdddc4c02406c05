"""Opportunities, events and filters: plain ones to change a field of, and hypothesis' own."""

from typing import Any
from uuid import uuid4

from hypothesis import strategies as st

from services.domain.event import EventType

SOURCE = "https://marketplace.example/opdrachten"

CPV = ("72000000", "72230000", "72232000", "48000000", "73100000", "90500000")
REGIONS = ("BE", "BE2", "BE21", "BE211", "BE234", "BE10", "NL", "NL41")
THEMES = ("mobiliteit", "zorg", "energie", "slimme stad")
AUDIENCE = ("start-up", "scale-up", "sme")
PROCEDURES = ("open", "restricted", "innovation", "neg-w-call")
WORDS = ("kade", "Één", "café", "sensor", "Straße", "water")


def opportunity(**changes: Any) -> dict[str, Any]:
    """Give a valid bare opportunity with an id of its own; a change to None leaves the field out."""
    plain = {
        "id": f"opdracht-{uuid4().hex[:12]}",
        "version": 1,
        "title": {"nl": "Slimme sensoren voor de kade", "en": "Smart sensors for the quay"},
        "summary": {"nl": "Wie meet hoe druk het is aan de kade?"},
        "buyer": {"name": "Stad Voorbeeld", "url": "https://stad.example/"},
        "procedure": "open",
        "nature": "services",
        "estimated_value": {"amount": 139_000, "currency": "EUR"},
        "cpv": ["72000000"],
        "themes": ["mobiliteit"],
        "regions": ["BE211"],
        "audience": ["start-up"],
        "published_at": "2027-01-12T09:00:00+01:00",
        "deadline": "2099-06-30T12:00:00+02:00",
        "url": "https://marketplace.example/opdrachten/1",
    }
    return {name: value for name, value in {**plain, **changes}.items() if value is not None}


def cloudevent(**changes: Any) -> dict[str, Any]:
    """Give a valid CloudEvent in structured mode with an identity of its own; None leaves out."""
    plain = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": SOURCE,
        "type": str(EventType.PUBLISHED),
        "time": "2027-01-12T09:00:00+01:00",
        "datacontenttype": "application/json",
        "data": changes.get("data") or opportunity(),
    }
    return {name: value for name, value in {**plain, **changes}.items() if value is not None}


def _some(values: tuple[str, ...], most: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


_texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
_amounts = st.sampled_from([0, 50_000, 139_000.5])
_currencies = st.sampled_from(["EUR", "EUR", "SEK"])


def opportunities() -> st.SearchStrategy[dict[str, Any]]:
    """Valid bare opportunities that differ in all that filters look at."""
    return st.builds(
        opportunity,
        title=_texts,
        summary=_maybe(st.dictionaries(st.sampled_from(["nl", "en", "fr"]), _texts, min_size=1)),
        buyer=_maybe(st.builds(dict, name=_texts)),
        procedure=_maybe(st.sampled_from(PROCEDURES)),
        estimated_value=_maybe(st.builds(dict, amount=_amounts, currency=_currencies)),
        cpv=_some(CPV),
        themes=_some(THEMES),
        regions=_some(REGIONS),
        audience=_some(AUDIENCE),
    )


@st.composite
def _value_ranges(draw: st.DrawFn) -> dict[str, Any]:
    ends = sorted(draw(st.lists(_amounts, min_size=2, max_size=2)))
    names = draw(st.lists(st.sampled_from(["min", "max"]), min_size=1, unique=True))
    return {"currency": draw(_currencies)} | {n: ends[n == "max"] for n in names}


_CRITERIA: dict[str, st.SearchStrategy[Any]] = {
    "types": _some(tuple(EventType)),
    "regions": _some(REGIONS),
    "cpv": _some(("72", "722", "72230000", "48000000-8", "73", "90500000")),
    "themes": _some(("Mobiliteit", *THEMES)),
    "audience": _some(AUDIENCE),
    "procedures": _some(PROCEDURES),
    "value": _value_ranges(),
    "text": _texts,
}


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    """Valid filters over the same values, with few criteria each, so that many of them are met."""
    names = draw(st.lists(st.sampled_from(sorted(_CRITERIA)), max_size=3, unique=True))
    return {name: draw(_CRITERIA[name]) for name in names}
