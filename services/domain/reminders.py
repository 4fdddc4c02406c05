"""When somebody is reminded of a deadline.

Rules:
1. A reminder comes so many days before the local date of the deadline, at the hour of the digests.
2. One whose moment had passed when the opportunity was received is left out.
3. A missed one is caught up; of several, only the nearest to the deadline. None comes twice, none too late.
4. Where a clock shows an hour twice or never, the later reading counts, as in the database.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Wishes:
    """On which days before a deadline somebody wants to hear of it, at which hour of their clock."""

    days: Collection[int]
    hour: int
    zone: ZoneInfo


def reading(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Tell when a clock shows a time: the later reading when it does so twice or never.

    >>> brussels = ZoneInfo("Europe/Brussels")
    >>> reading(date(2027, 10, 31), time(2), brussels).isoformat()
    '2027-10-31T01:00:00+00:00'
    >>> reading(date(2027, 3, 28), time(2), brussels).isoformat()
    '2027-03-28T01:00:00+00:00'
    """
    readings = (datetime.combine(day, at.replace(fold=fold), tzinfo=zone) for fold in (0, 1))
    return max(each.astimezone(UTC) for each in readings)


def due(
    deadline: datetime, *, received_at: datetime, reminded: Collection[int], wishes: Wishes, now: datetime
) -> int | None:
    """Choose the reminder that is due, as days before the deadline; None when none is.

    `reminded` are those that were made already, for this very deadline.
    """
    if now >= deadline:
        return None
    last_day = deadline.astimezone(wishes.zone).date()
    moments = {
        days: reading(last_day - timedelta(days=days), time(wishes.hour), wishes.zone) for days in wishes.days
    }
    reached = [days for days, moment in moments.items() if received_at < moment <= now]
    nearest = min([*reached, *reminded], default=None)
    return None if nearest in reminded else nearest


def days_left(deadline: datetime, now: datetime, zone: ZoneInfo) -> int:
    """Count the nights until a deadline, by the calendar: 0 is today."""
    return (deadline.astimezone(zone).date() - now.astimezone(zone).date()).days
