"""What comes back about a subscription's mails, judged over time.

Rules:
1. One hard bounce or one complaint suppresses, until somebody releases it.
2. Soft bounces suppress by count and by time, and for a time.
3. A mail that went well afterwards makes earlier soft bounces forgotten.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.domain.bounce_message import Bounce, Kind, read_bounce, read_refusal

__all__ = ["Bounce", "Kind", "Told", "Verdict", "believable", "judge", "read_bounce", "read_refusal"]

_HOLD = timedelta(days=30)
_SOFT_COUNT = 5
_SOFT_TIME = timedelta(days=7)
#: Source: RFC 5321 section 4.5.4.1; a relay gives up after four to five days, and only then reports.
_WENT_WELL = timedelta(days=5)
_BELIEVED = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Told:
    """A mail that was sent, and what came back about it; None: nothing did."""

    sent_at: datetime
    kind: Kind | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A subscription is to be suppressed: why, and until when (None: until somebody releases it)."""

    reason: str
    until: datetime | None = None


def judge(history: Sequence[Told], now: datetime) -> Verdict | None:
    """Judge what came back about a subscription's mails; None: nothing is to be done.

    Five soft bounces over seven days suppress for thirty days.
    """
    kinds = {told.kind for told in history}
    if Kind.COMPLAINT in kinds:
        return Verdict("complained")
    if Kind.HARD in kinds:
        return Verdict("bounced")
    soft = sorted(_soft(history, now))
    if len(soft) >= _SOFT_COUNT and soft[-1] - soft[0] >= _SOFT_TIME:
        return Verdict("bounced", now + _HOLD)
    return None


def _soft(history: Sequence[Told], now: datetime) -> Iterator[datetime]:
    well = [told.sent_at for told in history if told.kind is None and told.sent_at <= now - _WENT_WELL]
    last_well = max(well, default=None)
    for told in history:
        if told.kind is Kind.SOFT and told.at and (last_well is None or told.sent_at > last_well):
            yield told.at


def believable(sent_at: datetime | None, now: datetime) -> bool:
    """Tell whether a message about a mail sent then may still be believed: for fourteen days.

    Whoever was sent a mail knows its envelope sender, and could otherwise use it for ever.
    """
    return sent_at is not None and now - sent_at <= _BELIEVED
