"""Says in one sentence why a subscription got an event.

Rules:
1. The sentence tells only what is stored with the delivery: the criteria that were met.
2. Codes people know by name get that name; the code stays, so that it can be found in the filter.
3. What a filter names is a value in the sentence, never a part of what is translated.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.domain.speech import Speech, counted, later

#: Direction marks and line separators too: one filter's text must not turn the sentence around it.
_UNSEEN = re.compile("[\x00-\x20\x7f-\xa0\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")

#: Source: NUTS 2024 (Delegated Regulation (EU) 2023/674), Belgium.
_REGIONS = {
    "BE": later("Belgium"),
    "BE1": later("Brussels"),
    "BE10": later("Brussels"),
    "BE2": later("Flanders"),
    "BE21": later("Antwerp"),
    "BE22": later("Limburg"),
    "BE23": later("East Flanders"),
    "BE24": later("Flemish Brabant"),
    "BE25": later("West Flanders"),
    "BE3": later("Wallonia"),
    "BE31": later("Walloon Brabant"),
    "BE32": later("Hainaut"),
    "BE33": later("Liège"),
    "BE34": later("Luxembourg"),
    "BE35": later("Namur"),
}

#: Source: eForms codelist `procurement-procedure-type`; in Dutch as in the Act of 17 June 2016.
_PROCEDURES = {
    "open": later("open procedure"),
    "restricted": later("restricted procedure"),
    "neg-w-call": later("competitive procedure with negotiation"),
    "neg-wo-call": later("negotiated procedure without prior publication"),
    "comp-dial": later("competitive dialogue"),
    "innovation": later("innovation partnership"),
    "oth-single": later("other single-stage procedure"),
    "oth-mult": later("other multiple-stage procedure"),
}

_TYPES = {
    "opportunity.published": later("new opportunities"),
    "opportunity.updated": later("changed opportunities"),
    "opportunity.withdrawn": later("withdrawn opportunities"),
    "opportunity.closed": later("closed opportunities"),
    "opportunity.awarded": later("awarded opportunities"),
}

_LISTS = {
    "regions": counted("region %(names)s", "regions %(names)s"),
    "cpv": counted("CPV %(names)s", "CPV %(names)s"),
    "themes": counted("theme %(names)s", "themes %(names)s"),
    "audience": counted("audience %(names)s", "audiences %(names)s"),
    "procedures": counted("procedure %(names)s", "procedures %(names)s"),
}


def explain(match: Mapping[str, Any], said: Speech, *, told_before: bool = False) -> str:
    """Explain in one sentence why this event was sent, from the criteria stored with the delivery.

    `told_before`: the event is a notice to those who were told of the opportunity, whatever their filter.
    """
    if told_before or match.get("told_before"):
        return said.gettext("You receive this because we told you of it before.")
    criteria = _criteria(match, said)
    types = [_named(_TYPES, code, said) for code in _texts(match.get("types"))]
    if criteria:
        listed = said.listed([*types, *criteria])
        return said.gettext("You receive this because it fits your filter: %(criteria)s.", criteria=listed)
    if types:
        return said.gettext("You receive this because you follow %(types)s.", types=said.listed(types))
    return said.gettext("You receive this because you follow every opportunity.")


def region_name(code: str, said: Speech) -> str:
    """Name a NUTS region; one inside a Belgian province is named by that province: Antwerp (BE213)."""
    if code in _REGIONS:
        return _named(_REGIONS, code, said)
    return f"{_named(_REGIONS, code[:4], said)} ({code})" if code[:4] in _REGIONS else code


def procedure_name(code: str, said: Speech) -> str:
    """Name a procedure by its eForms code; an unknown one keeps its code."""
    return _named(_PROCEDURES, code, said)


def one_line(text: str) -> str:
    """Fold white space, and drop what is not seen but changes what is: controls and direction marks."""
    return _UNSEEN.sub(" ", text).strip()


def _criteria(match: Mapping[str, Any], said: Speech) -> list[str]:
    found = []
    for name, (one, many) in _LISTS.items():
        values = [_value(name, value, said) for value in _texts(match.get(name))]
        if values:
            found.append(said.ngettext(one, many, len(values), names=said.listed(values)))
    if value := _range(match.get("value"), said):
        found.append(value)
    if words_sought := one_line(str(match.get("text") or "")):
        found.append(said.gettext("the words “%(words)s”", words=words_sought))
    return found


def _value(name: str, value: str, said: Speech) -> str:
    names = {"regions": _REGIONS, "procedures": _PROCEDURES}.get(name, {})
    return f"{value} ({_named(names, value, said)})" if value in names else value


def _range(value: object, said: Speech) -> str:
    if not isinstance(value, Mapping):
        return ""
    currency, ends = str(value.get("currency") or "EUR"), (value.get("min"), value.get("max"))
    low, high = ("" if end is None else said.money(end, currency) for end in ends)
    if low and high:
        return said.gettext("value from %(low)s to %(high)s", low=low, high=high)
    if low:
        return said.gettext("value from %(low)s", low=low)
    return high and said.gettext("value up to %(high)s", high=high)


def _texts(values: object) -> list[str]:
    """Take the texts of a list; a criterion that the notice could not meet is stored as null."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        return []
    return [text for value in values if value is not None and (text := one_line(str(value)))]


def _named(names: Mapping[str, str], code: str, said: Speech) -> str:
    return said.gettext(names[code]) if code in names else code
