"""What can be said of a filter before anybody depends on it: how often it would speak, and whether it can.

Rules:
1. A rate is told in the largest unit that keeps it a number people can picture, and only after two weeks.
2. Who is not told of an opportunity is not told how it went on either: a filter that leaves out new and
   changed opportunities can match nothing.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from services.domain.event import EventType
from services.domain.matching import Filter

#: Less says nothing about how it usually goes.
_LONG_ENOUGH = timedelta(days=14)
_UNITS = (("day", 1.0), ("week", 7.0), ("month", 30.44))
#: Source: CPV 2008 (Regulation (EC) No 213/2008), annex I: the divisions that exist.
_DIVISIONS = re.compile(
    "03|09|1[45689]|2[24]|3[0-5]|3[789]|4[1-5]|48|5[015]|6[03456]|7[0-3]|7[5679]|8[05]|9[028]"
)


class Flaw(StrEnum):
    """Why a filter can match nothing, or a part of it cannot."""

    NOTHING_TO_FOLLOW = "nothing_to_follow"
    NO_SUCH_CPV = "no_such_cpv"


@dataclass(frozen=True, slots=True)
class Rate:
    """About how many in a `unit`: day, week or month."""

    count: int
    unit: str


def rate(found: int, over: timedelta) -> Rate | None:
    """Tell how often that is; None for too short a time, or less than once a month.

    >>> rate(14, timedelta(days=90)), rate(400, timedelta(days=90)), rate(4, timedelta(days=90))
    (Rate(count=1, unit='week'), Rate(count=4, unit='day'), Rate(count=1, unit='month'))
    >>> rate(1, timedelta(days=90)), rate(5, timedelta(days=3))
    (None, None)
    """
    if over < _LONG_ENOUGH:
        return None
    a_day = found / (over / timedelta(days=1))
    for unit, days in _UNITS:
        if a_day * days >= 0.95:
            return Rate(round(a_day * days), unit)
    return None


def flaws(wanted: Filter) -> dict[Flaw, tuple[str, ...]]:
    """Name what keeps a filter, or a part of it, from ever matching; with the values it is about."""
    found: dict[Flaw, tuple[str, ...]] = {}
    if wanted.types and not {EventType.PUBLISHED, EventType.UPDATED} & set(wanted.types):
        found[Flaw.NOTHING_TO_FOLLOW] = ()
    unknown = tuple(code for code in wanted.cpv if not _DIVISIONS.match(code))
    if unknown:
        found[Flaw.NO_SUCH_CPV] = unknown
    return found
