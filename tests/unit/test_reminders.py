"""When somebody is reminded of a deadline: a year of days, clocks that jump, and runs that were missed."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.domain.reminders import Wishes, days_left, due, reading

BRUSSELS = ZoneInfo("Europe/Brussels")
ZONES = [ZoneInfo(name) for name in ("Europe/Brussels", "America/New_York", "Australia/Lord_Howe", "UTC")]
DEADLINE = datetime(2027, 6, 30, 10, 0, tzinfo=UTC)
LONG_AGO = datetime(2027, 1, 1, tzinfo=UTC)
ALL = Wishes((14, 5, 1), 8, BRUSSELS)

wishes = st.builds(
    Wishes,
    st.lists(st.sampled_from([14, 5, 1]), unique=True),
    st.integers(0, 23),
    st.sampled_from(ZONES),
)


def between(first: str, last: str) -> st.SearchStrategy[datetime]:
    """Moments between two days."""
    start, end = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (first, last))
    return st.timedeltas(timedelta(), end - start).map(lambda after: start + after)


#: Around both changes of the clock, and the 29th of February.
deadlines = st.one_of(
    between("2027-01-01", "2029-01-01"),
    between("2027-03-27", "2027-04-12"),
    between("2027-10-30", "2027-11-15"),
    between("2028-02-28", "2028-03-15"),
)


def at(day: str, hour: int = 8, minute: int = 0) -> datetime:
    """A moment by the clock in Brussels."""
    return datetime.combine(date.fromisoformat(day), time(hour, minute), tzinfo=BRUSSELS)


def asked(
    now: datetime, *, received_at: datetime = LONG_AGO, reminded: tuple[int, ...] = (), wanted: Wishes = ALL
) -> int | None:
    return due(DEADLINE, received_at=received_at, reminded=reminded, wishes=wanted, now=now)


def test_a_reminder_comes_at_the_hour_of_digests_so_many_days_before() -> None:
    assert asked(at("2027-06-16", 7, 59)) is None
    assert asked(at("2027-06-16")) == 14
    assert asked(at("2027-06-25"), reminded=(14,)) == 5
    assert asked(at("2027-06-29"), reminded=(14, 5)) == 1


def test_it_comes_once() -> None:
    assert asked(at("2027-06-16", 9), reminded=(14,)) is None
    assert asked(at("2027-06-26"), reminded=(5,)) is None


def test_of_what_was_missed_only_the_nearest_is_caught_up() -> None:
    assert asked(at("2027-06-18")) == 14
    assert asked(at("2027-06-26")) == 5
    assert asked(at("2027-06-30", 9), reminded=(14,)) == 1


def test_a_day_that_had_passed_when_it_was_received_is_left_out() -> None:
    assert asked(at("2027-06-18"), received_at=at("2027-06-16", 8, 1)) is None
    assert asked(at("2027-06-25"), received_at=at("2027-06-16", 8, 1)) == 5


def test_what_is_turned_off_does_not_come() -> None:
    assert asked(at("2027-06-29", 12), wanted=Wishes((), 8, BRUSSELS)) is None
    assert asked(at("2027-06-29", 12), wanted=Wishes((14,), 8, BRUSSELS)) == 14


def test_nothing_comes_at_or_after_the_deadline() -> None:
    assert asked(DEADLINE) is None
    assert asked(DEADLINE - timedelta(seconds=1)) == 1


def test_a_deadline_that_moved_is_reminded_of_anew() -> None:
    moved = DEADLINE + timedelta(days=30)
    told = due(moved, received_at=at("2027-06-20"), reminded=(), wishes=ALL, now=at("2027-07-16"))
    assert told == 14


@given(deadlines, st.integers(0, 20 * 24), wishes)
@example(datetime(2028, 3, 1, 12, tzinfo=UTC), 400, Wishes((1,), 2, BRUSSELS))
@example(datetime(2027, 3, 29, 12, tzinfo=UTC), 400, Wishes((1,), 2, BRUSSELS))
@example(datetime(2027, 11, 1, 12, tzinfo=UTC), 400, Wishes((1,), 2, BRUSSELS))
def test_asked_every_hour_each_comes_once_on_its_day(
    deadline: datetime, hours_before: int, wanted: Wishes
) -> None:
    received_at = deadline - timedelta(hours=hours_before)
    reminded: list[int] = []
    came: list[tuple[date, int]] = []
    for hour in range(hours_before + 2):
        now = received_at + timedelta(hours=hour)
        days = due(deadline, received_at=received_at, reminded=reminded, wishes=wanted, now=now)
        if days is not None:
            reminded.append(days)
            came.append((now.astimezone(wanted.zone).date(), days))
    moments = {
        days: reading(
            deadline.astimezone(wanted.zone).date() - timedelta(days), time(wanted.hour), wanted.zone
        )
        for days in wanted.days
    }
    assert sorted(reminded, reverse=True) == reminded
    assert len(set(reminded)) == len(reminded)
    # asked every hour, so what comes within the last hour may be missed
    sure = {d for d, moment in moments.items() if received_at < moment <= deadline - timedelta(hours=1)}
    assert sure <= set(reminded) <= {d for d, moment in moments.items() if received_at < moment < deadline}
    for day, days in came:
        assert (deadline.astimezone(wanted.zone).date() - day).days <= days


@given(deadlines, st.integers(0, 20 * 24), st.integers(0, 20 * 24), wishes)
def test_however_long_nobody_looked_one_comes_at_most_and_it_is_the_nearest(
    deadline: datetime, hours_before: int, looked_before: int, wanted: Wishes
) -> None:
    received_at = deadline - timedelta(hours=hours_before)
    now = deadline - timedelta(hours=looked_before)
    days = due(deadline, received_at=received_at, reminded=(), wishes=wanted, now=now)
    if days is None:
        return
    assert received_at < now < deadline
    again = due(deadline, received_at=received_at, reminded=(days,), wishes=wanted, now=now)
    assert again is None
    assert not [nearer for nearer in wanted.days if nearer < days and _reached(deadline, nearer, wanted, now)]


def _reached(deadline: datetime, days: int, wanted: Wishes, now: datetime) -> bool:
    day = deadline.astimezone(wanted.zone).date() - timedelta(days=days)
    return reading(day, time(wanted.hour), wanted.zone) <= now


@pytest.mark.parametrize(
    ("day", "hour", "utc"),
    [
        ("2027-03-28", 2, "2027-03-28T01:00"),  # never shown: as much later as the clock jumped
        ("2027-03-28", 3, "2027-03-28T01:00"),
        ("2027-10-31", 2, "2027-10-31T01:00"),  # shown twice: the second time
        ("2027-10-31", 1, "2027-10-30T23:00"),
        ("2028-02-29", 8, "2028-02-29T07:00"),
    ],
)
def test_a_clock_that_jumps_is_read_late(day: str, hour: int, utc: str) -> None:
    found = reading(date.fromisoformat(day), time(hour), BRUSSELS)
    assert found == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_days_left_are_counted_by_the_calendar() -> None:
    assert days_left(DEADLINE, at("2027-06-29", 23, 59), BRUSSELS) == 1
    assert days_left(DEADLINE, at("2027-06-30", 0, 1), BRUSSELS) == 0
