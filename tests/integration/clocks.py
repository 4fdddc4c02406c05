"""Clocks of several places, and what they show; told by Python's own zoneinfo."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

ZONES = ("Europe/Brussels", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")


def _around(first: str, last: str) -> st.SearchStrategy[datetime]:
    start, end = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (first, last))
    minutes = (end - start) // timedelta(minutes=1)
    return st.integers(0, minutes).map(lambda n: start + timedelta(minutes=n))


#: Three years, and more often the days on which the clocks of these places jump, and a leap day.
moments = st.one_of(
    _around("2027-01-01", "2030-01-01"),
    _around("2027-03-27T12:00", "2027-03-29"),
    _around("2027-10-30T12:00", "2027-11-01"),
    _around("2027-03-13T12:00", "2027-03-15"),
    _around("2027-11-06T12:00", "2027-11-08"),
    _around("2027-04-03", "2027-04-05"),
    _around("2028-02-28T12:00", "2028-03-01T12:00"),
)
zones = st.sampled_from(ZONES)
times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 30, 59])) | st.builds(
    time, st.integers(0, 4), st.just(0)
)


def shown(at: datetime, zone: str) -> datetime:
    """What the clock shows, without a zone."""
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def last_reading(clock: datetime, zone: str) -> datetime:
    """When a clock shows this; twice or never: the later reading."""
    place = ZoneInfo(zone)
    return max(clock.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
