"""Reads the values of a notice (texts, instants, amounts, codes) in the spelling of our own model.

Rules:
1. What is malformed but optional is left out; nothing is guessed.
2. Our model's own types decide what is well-formed, so that what is kept is accepted later.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from services.domain.opportunity import Cpv, Email, HttpsUrl, Money, Name, Nuts, OpportunityId, Tag

T = TypeVar("T")

IDENTIFIER: TypeAdapter[str] = TypeAdapter(OpportunityId)
HTTPS: TypeAdapter[str] = TypeAdapter(HttpsUrl)
EMAIL: TypeAdapter[str] = TypeAdapter(Email)
NAME: TypeAdapter[str] = TypeAdapter(Name)
NUTS: TypeAdapter[str] = TypeAdapter(Nuts)
CPV: TypeAdapter[str] = TypeAdapter(Cpv)
TAG: TypeAdapter[str] = TypeAdapter(Tag)
MONEY: TypeAdapter[Money] = TypeAdapter(Money)

#: ISO 639-3 (as eForms writes) and the older 639-2/B codes, to ISO 639-1.
_CODES = """
    bul:bg ces:cs cze:cs dan:da deu:de ger:de ell:el gre:el eng:en est:et fin:fi fra:fr fre:fr gle:ga
    hrv:hr hun:hu ita:it lav:lv lit:lt mlt:mt nld:nl dut:nl pol:pl por:pt ron:ro rum:ro slk:sk slo:sk
    slv:sl spa:es swe:sv isl:is ice:is nor:no nob:nb nno:nn ltz:lb cat:ca eus:eu glg:gl
"""
_LANGUAGES = dict(pair.split(":") for pair in _CODES.split())
_KNOWN = frozenset(_LANGUAGES.values())

_OFFSET = r"(Z|[+-][0-9]{2}:[0-9]{2})?"
_DATE = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}){_OFFSET}")
_TIME = re.compile(rf"([0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})(?:\.[0-9]{{1,9}})?{_OFFSET}")
_YEARS = range(1970, 3000)
_FURTHEST_OFFSET = timedelta(hours=14)

_AMOUNT = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,12})?")
_KBO = re.compile(r"(BE)?[ .]?([01]?[0-9]{3})[ .]?([0-9]{3})[ .]?([0-9]{3})")


def accepted(type_: TypeAdapter[T], given: object) -> T | None:
    """Give a value as the model would keep it, or None when the model would refuse it."""
    try:
        return type_.validate_python(given)
    except ValidationError:
        return None


def all_accepted(type_: TypeAdapter[str], given: Iterable[str], *, limit: int) -> list[str]:
    """Keep the well-formed values, each once, in order, at most `limit`."""
    kept = (accepted(type_, item) for item in given)
    return list(dict.fromkeys(item for item in kept if item is not None))[:limit]


def without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is absent: None, and empty texts, lists and parts."""
    return {name: item for name, item in fields.items() if item not in (None, "", [], {})}


def language(code: str) -> str | None:
    """Translate a language code to ISO 639-1; None for one we do not know.

    >>> language("NLD"), language("en"), language("TLH")
    ('nl', 'en', None)
    """
    lower = code.strip().lower()
    return lower if lower in _KNOWN else _LANGUAGES.get(lower)


def plain(text: str, limit: int, *, one_line: bool = False) -> str:
    """Tidy a text: no indentation, no control characters, at most `limit` characters.

    >>> plain("  Slimme   sensoren\\n\\t voor riolen ", 20, one_line=True)
    'Slimme sensoren…'
    """
    lines = [" ".join(line.replace("\x7f", " ").split()) for line in text.splitlines()]
    if one_line:
        return _shortened(" ".join(line for line in lines if line), limit)
    return _shortened(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip(), limit)


def _shortened(text: str, limit: int) -> str:
    """Cut at a word boundary, or within a word when the last one is absurdly long."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    boundary = limit - 1 if text[limit - 1].isspace() else max(head.rfind(" "), head.rfind("\n"))
    return head[: boundary if boundary > limit // 2 else limit - 1].rstrip(" \n,;:–—-") + "…"


def moment(day: str, time: str, zone: tzinfo | None, *, without_time: str) -> datetime | None:
    """Combine an eForms date and time, keeping the offset they carry (the time's comes first).

    `zone` is for a notice that gives no offset; without one such an instant is None, as is any that is
    malformed. `without_time` is the time of day meant by a date alone, such as "23:59:59".
    Fractions of a second are dropped. Source: XML Schema 1.1 part 2, xs:date and xs:time.
    """
    date_match, time_match = _DATE.fullmatch(day), _TIME.fullmatch(time or without_time)
    if not date_match or not time_match or int(day[:4]) not in _YEARS:
        return None
    midnight_after = time_match[1] == "24:00:00"
    clock = "00:00:00" if midnight_after else time_match[1]
    try:
        read = datetime.fromisoformat(f"{date_match[1]}T{clock}{time_match[2] or date_match[2] or ''}")
    except ValueError:
        return None
    return _placed(read + timedelta(days=midnight_after), zone)


def _placed(read: datetime, zone: tzinfo | None) -> datetime | None:
    if read.tzinfo is None:
        return read.replace(tzinfo=zone) if zone else None
    return read if abs(read.utcoffset() or timedelta()) <= _FURTHEST_OFFSET else None


def earliest(moments: Iterable[datetime | None]) -> datetime | None:
    """Give the first of the instants there are."""
    return min((m for m in moments if m), key=lambda m: m.astimezone(UTC), default=None)


def iso(at: datetime | None) -> str | None:
    """Write an instant with its offset (RFC 3339)."""
    return at.isoformat() if at else None


def money(amount: str, currency: str) -> Money | None:
    """Read an amount in plain decimal notation; None without a currency of its own."""
    if not _AMOUNT.fullmatch(amount):
        return None
    return accepted(MONEY, {"amount": amount, "currency": currency})


def kbo(number: str, country: str) -> str | None:
    """Read a Belgian enterprise number as its ten digits; None when it is not one.

    Source: Crossroads Bank for Enterprises: the last two digits are 97 minus the first eight modulo 97.

    >>> kbo("BE 0316.380.841", "BEL"), kbo("0316380842", "BEL"), kbo("0316380841", "FRA")
    ('0316380841', None, None)
    """
    match = _KBO.fullmatch(number.strip().upper())
    if not match or not (country == "BEL" or (match[1] and not country)):
        return None
    digits = "".join(match.groups()[1:]).zfill(10)
    return digits if int(digits[8:]) == 97 - int(digits[:8]) % 97 else None
