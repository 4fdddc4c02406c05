"""Says in one sentence why a subscription got an event.

Rules:
1. The sentence tells only what is stored with the delivery: the criteria that were met.
2. Codes people know by name get that name; the code stays, so that it can be found in the filter.
3. Dutch for `nl`, English for every other language.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

#: Direction marks and line separators too: one filter's text must not turn the sentence around it.
_UNSEEN = re.compile("[\x00-\x20\x7f-\xa0\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
_SHOWN = 5

#: Source: NUTS 2024 (Delegated Regulation (EU) 2023/674), Belgium; Dutch and English names.
_REGIONS = {
    "BE": ("België", "Belgium"),
    "BE1": ("Brussel", "Brussels"),
    "BE10": ("Brussel", "Brussels"),
    "BE2": ("Vlaanderen", "Flanders"),
    "BE21": ("Antwerpen", "Antwerp"),
    "BE22": ("Limburg", "Limburg"),
    "BE23": ("Oost-Vlaanderen", "East Flanders"),
    "BE24": ("Vlaams-Brabant", "Flemish Brabant"),
    "BE25": ("West-Vlaanderen", "West Flanders"),
    "BE3": ("Wallonië", "Wallonia"),
    "BE31": ("Waals-Brabant", "Walloon Brabant"),
    "BE32": ("Henegouwen", "Hainaut"),
    "BE33": ("Luik", "Liège"),
    "BE34": ("Luxemburg", "Luxembourg"),
    "BE35": ("Namen", "Namur"),
}

#: Source: eForms codelist `procurement-procedure-type`; Dutch names as in the Act of 17 June 2016.
_PROCEDURES = {
    "open": ("openbare procedure", "open procedure"),
    "restricted": ("niet-openbare procedure", "restricted procedure"),
    "neg-w-call": ("mededingingsprocedure met onderhandeling", "competitive procedure with negotiation"),
    "neg-wo-call": (
        "onderhandelingsprocedure zonder voorafgaande bekendmaking (OPZB)",
        "negotiated procedure without prior publication",
    ),
    "comp-dial": ("concurrentiegerichte dialoog", "competitive dialogue"),
    "innovation": ("innovatiepartnerschap", "innovation partnership"),
    "oth-single": ("andere procedure in één fase", "other single-stage procedure"),
    "oth-mult": ("andere procedure in meerdere fasen", "other multiple-stage procedure"),
}

_TYPES = {
    "opportunity.published": ("nieuwe opdrachten", "new opportunities"),
    "opportunity.updated": ("gewijzigde opdrachten", "changed opportunities"),
    "opportunity.withdrawn": ("ingetrokken opdrachten", "withdrawn opportunities"),
    "opportunity.closed": ("afgesloten opdrachten", "closed opportunities"),
    "opportunity.awarded": ("gegunde opdrachten", "awarded opportunities"),
}

_WORDS = {
    "regions": (("regio", "regio's"), ("region", "regions")),
    "cpv": (("CPV", "CPV"), ("CPV", "CPV")),
    "themes": (("thema", "thema's"), ("theme", "themes")),
    "audience": (("doelgroep", "doelgroepen"), ("audience", "audiences")),
    "procedures": (("procedure", "procedures"), ("procedure", "procedures")),
}


def explain(match: Mapping[str, Any], language: str = "en", *, told_before: bool = False) -> str:
    """Explain in one sentence why this event was sent, from the criteria stored with the delivery.

    `told_before`: the event is a notice to those who were told of the opportunity, whatever their filter.

    >>> explain({"regions": ["BE21"], "cpv": ["72"], "themes": ["mobiliteit"]}, "nl")
    'Je ontvangt dit omdat het past bij je filter: regio BE21 (Antwerpen), CPV 72 en thema mobiliteit.'
    """
    dutch = is_dutch(language)
    because = "Je ontvangt dit omdat" if dutch else "You receive this because"
    if told_before or match.get("told_before"):
        return f"{because} {'we je deze opdracht eerder meldden' if dutch else 'we told you of it before'}."
    criteria = _criteria(match, dutch)
    types = [_named(_TYPES, code, dutch) for code in _texts(match.get("types"))]
    if criteria:
        fits = "het past bij je filter" if dutch else "it fits your filter"
        return f"{because} {fits}: {_list([*types, *criteria], dutch)}."
    everything = "alle opdrachten" if dutch else "every opportunity"
    followed = _list(types, dutch) or everything
    return f"{because} {f'je {followed} volgt' if dutch else f'you follow {followed}'}."


def region_name(code: str, language: str) -> str:
    """Name a NUTS region; one inside a Belgian province is named by that province.

    >>> region_name("BE234", "nl"), region_name("FR10", "nl")
    ('Oost-Vlaanderen (BE234)', 'FR10')
    """
    dutch = is_dutch(language)
    if code in _REGIONS:
        return _named(_REGIONS, code, dutch)
    return f"{_named(_REGIONS, code[:4], dutch)} ({code})" if code[:4] in _REGIONS else code


def procedure_name(code: str, language: str) -> str:
    """Name a procedure by its eForms code; an unknown one keeps its code."""
    return _named(_PROCEDURES, code, is_dutch(language))


def money(amount: Decimal | int | float | str, currency: str, language: str) -> str:
    """Write an amount as people do: no cents when there are none.

    >>> money(139000, "EUR", "nl"), money("0.5", "EUR", "nl"), money(139000, "EUR", "en")
    ('139.000 euro', '0,50 euro', '€139,000')
    """
    value = Decimal(str(amount))
    text = f"{value:,.0f}" if value == value.to_integral_value() else f"{value:,.2f}"
    if not is_dutch(language):
        return f"€{text}" if currency == "EUR" else f"{currency} {text}"
    swapped = text.translate(str.maketrans(",.", ".,"))
    return f"{swapped} {'euro' if currency == 'EUR' else currency}"


def one_line(text: str) -> str:
    """Fold white space, and drop what is not seen but changes what is: controls and direction marks."""
    return _UNSEEN.sub(" ", text).strip()


def is_dutch(language: str) -> bool:
    """Tell whether a language tag is a kind of Dutch."""
    return language.lower().partition("-")[0] == "nl"


def _criteria(match: Mapping[str, Any], dutch: bool) -> list[str]:
    found = []
    for name, words in _WORDS.items():
        values = [_value(name, value, dutch) for value in _texts(match.get(name))]
        if values:
            word = words[0 if dutch else 1][len(values) > 1]
            found.append(f"{word} {_list(values, dutch)}")
    if value := _range(match.get("value"), dutch):
        found.append(value)
    if words_sought := one_line(str(match.get("text") or "")):
        found.append(f"{'de woorden' if dutch else 'the words'} “{words_sought}”")
    return found


def _value(name: str, value: str, dutch: bool) -> str:
    names = {"regions": _REGIONS, "procedures": _PROCEDURES}.get(name, {})
    return f"{value} ({_named(names, value, dutch)})" if value in names else value


def _range(value: object, dutch: bool) -> str:
    if not isinstance(value, Mapping):
        return ""
    language, currency = "nl" if dutch else "en", str(value.get("currency") or "EUR")
    ends = (value.get("min"), value.get("max"))
    low, high = ("" if end is None else money(end, currency, language) for end in ends)
    if low and high:
        return f"waarde van {low} tot {high}" if dutch else f"value from {low} to {high}"
    if low:
        return f"waarde vanaf {low}" if dutch else f"value from {low}"
    return high and (f"waarde tot {high}" if dutch else f"value up to {high}")


def _texts(values: object) -> list[str]:
    """Take the texts of a list; a criterion that the notice could not meet is stored as null."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        return []
    return [text for value in values if value is not None and (text := one_line(str(value)))]


def _named(names: Mapping[str, tuple[str, str]], code: str, dutch: bool) -> str:
    return names[code][0 if dutch else 1] if code in names else code


def _list(texts: Sequence[str], dutch: bool) -> str:
    shown = list(texts[:_SHOWN])
    if left := len(texts) - len(shown):
        shown.append(f"{left} andere" if dutch else f"{left} more")
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} {'en' if dutch else 'and'} {shown[-1]}"
