"""A filter as a form, and a form as a filter.

Rules:
1. What the form does not offer (a region abroad, a currency) stays in the filter, as a box of its own.
2. What is typed in a list is parted by commas or line ends.
3. An amount is written as people do: 139.000 or 139000,50.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.domain.event import EventType
from services.domain.matching import Filter, parse_filter
from services.domain.problems import Invalid
from services.domain.speech import Speech, later
from services.subscribers.portal.forms import Form

#: NUTS 2 of Flanders and Brussels, in the order in which people name them.
REGIONS = ("BE21", "BE22", "BE23", "BE24", "BE25", "BE10")
AUDIENCE = ("start-up", "scale-up", "sme")
PROCEDURES = (
    "open",
    "restricted",
    "neg-w-call",
    "neg-wo-call",
    "comp-dial",
    "innovation",
    "oth-single",
    "oth-mult",
)
KINDS = tuple(str(kind).removeprefix("opportunity.") for kind in EventType)
_USUAL = ("published", "updated", "withdrawn")
_THOUSANDS = re.compile(r"\d{1,3}(?:[. ]\d{3})+(?:,\d{1,2})?")
_CHOOSE, _IN_FIGURES = later("Choose from the list."), later("Enter an amount in figures, such as 139.000.")
#: By the name of a criterion: the field that it stands in, and what to do about it.
_WRONG = {
    "types": ("kinds", _CHOOSE),
    "regions": ("regions", _CHOOSE),
    "audience": ("audience", _CHOOSE),
    "procedures": ("procedures", _CHOOSE),
    "cpv": ("cpv", later("Enter CPV codes of 2 to 8 digits, such as 72 or 48810000.")),
    "themes": ("other_themes", later("Enter themes of at most 100 characters each, 50 of them at most.")),
    "min": ("least", _IN_FIGURES),
    "max": ("most", _IN_FIGURES),
    "currency": ("most", later("Enter a currency by its three letters, such as EUR.")),
    "value": ("most", later("The highest value must not be below the lowest.")),
    "text": ("text", later("Enter at most 200 characters.")),
}


@dataclass(frozen=True, slots=True)
class FilterForm:
    """What stands in the form: lists of what is ticked, texts as they were typed."""

    kinds: Sequence[str]
    regions: Sequence[str]
    audience: Sequence[str]
    procedures: Sequence[str]
    themes: Sequence[str]
    other_themes: str
    cpv: str
    least: str
    most: str
    currency: str
    text: str


def shown(wanted: Filter, said: Speech) -> FilterForm:
    """Spell a filter as its form shows it."""
    value = wanted.value
    return FilterForm(
        kinds=[str(kind).removeprefix("opportunity.") for kind in wanted.types] or _USUAL,
        regions=wanted.regions,
        audience=wanted.audience,
        procedures=wanted.procedures,
        themes=wanted.themes,
        other_themes="",
        cpv=", ".join(wanted.cpv),
        least="" if value is None or value.min is None else said.number(value.min),
        most="" if value is None or value.max is None else said.number(value.max),
        currency=value.currency if value else "EUR",
        text=wanted.text,
    )


def options(form: FilterForm, themes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """List what can be ticked: what people usually choose, and what was chosen already (rule 1)."""
    return {
        "kinds": KINDS,
        "regions": _with(REGIONS, form.regions),
        "audience": _with(AUDIENCE, form.audience),
        "procedures": _with(PROCEDURES, form.procedures),
        "themes": _with(sorted(themes), form.themes),
    }


def read(form: Form) -> FilterForm:
    """Read the form as it was sent."""
    currency = form["currency"].upper()
    return FilterForm(
        kinds=form.all("kinds"),
        regions=form.all("regions"),
        audience=form.all("audience"),
        procedures=form.all("procedures"),
        themes=form.all("themes"),
        other_themes=form["other_themes"],
        cpv=form["cpv"],
        least=form["least"],
        most=form["most"],
        currency=currency or "EUR",
        text=form["text"],
    )


def wanted(form: FilterForm, said: Speech) -> tuple[Filter | None, dict[str, str]]:
    """Make the filter of a form, or say by field what is wrong with it."""
    value = {"min": _amount(form.least), "max": _amount(form.most), "currency": form.currency}
    given: dict[str, Any] = {
        "types": [] if set(form.kinds) == set(_USUAL) else list(form.kinds),
        "regions": list(form.regions),
        "cpv": _listed(form.cpv),
        "themes": [*form.themes, *_listed(form.other_themes)],
        "audience": list(form.audience),
        "procedures": list(form.procedures),
        "value": {name: part for name, part in value.items() if part},
        "text": form.text,
    }
    errors = {} if form.kinds else {"kinds": said.gettext("Choose at least one kind of message.")}
    try:
        found = parse_filter(given)
    except Invalid as error:
        return None, {**_errors(error, said), **errors}
    return (None if errors else found), errors


def _errors(error: Invalid, said: Speech) -> dict[str, str]:
    found: dict[str, str] = {}
    for problem in error.problems:
        name = next((part for part in reversed(problem.pointer.split("/")) if part in _WRONG), "text")
        field, sentence = _WRONG[name]
        found.setdefault(field, said.gettext(sentence))
    return found


def _with(usual: Sequence[str], chosen: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*usual, *chosen]))


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(part for line in re.split(r"[,;\n]", text) if (part := line.strip())))


def _amount(text: str) -> str:
    """Write an amount as the filter reads it; what is none is left to be refused.

    >>> _amount("139.000"), _amount("139000,50"), _amount("139000.50"), _amount("€ 12 000"), _amount("veel")
    ('139000', '139000.50', '139000.50', '12000', 'veel')
    """
    bare = text.replace("€", "").replace("\xa0", " ").replace("\u202f", " ").strip()
    if _THOUSANDS.fullmatch(bare):
        bare = bare.replace(".", "").replace(" ", "")
    elif re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?", bare):
        bare = bare.replace(",", "")
    return bare.replace(",", ".")
