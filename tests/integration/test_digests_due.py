"""When a digest is due: by the subscriber's clock, also where it jumps; against zoneinfo."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.runtime.database import Pool
from tests.integration.clocks import last_reading, moments, shown, zones

bounded = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_DUE = "SELECT digest_due($1, $2::int2, $3::int2, $4, $5)"


def oracle(cadence: str, hour: int, weekday: int, zone: str, after: datetime) -> datetime:
    """Look at the days one by one."""
    day = shown(after, zone).date() - timedelta(days=2)
    while True:
        day += timedelta(days=1)
        due = last_reading(datetime.combine(day, time(hour)), zone)
        if due > after and (cadence == "daily" or day.isoweekday() == weekday):
            return due


@bounded
@given(
    cadence=st.sampled_from(["daily", "weekly"]),
    hour=st.integers(0, 23) | st.integers(0, 3),
    weekday=st.integers(1, 7),
    zone=zones,
    after=moments,
)
@example("daily", 2, 1, "Europe/Brussels", datetime(2027, 3, 28, 0, 59, tzinfo=UTC))
@example("daily", 2, 1, "Europe/Brussels", datetime(2027, 10, 31, 0, 30, tzinfo=UTC))
@example("weekly", 2, 7, "Europe/Brussels", datetime(2027, 10, 31, 1, 0, tzinfo=UTC))
@example("weekly", 8, 2, "Europe/Brussels", datetime(2028, 2, 29, 6, 59, tzinfo=UTC))
@example("daily", 2, 1, "Australia/Lord_Howe", datetime(2027, 10, 2, 15, 0, tzinfo=UTC))
async def test_it_is_due_when_the_clock_says_so(
    pool: Pool, cadence: str, hour: int, weekday: int, zone: str, after: datetime
) -> None:
    due = await pool.fetchval(_DUE, cadence, hour, weekday, zone, after)
    assert due == oracle(cadence, hour, weekday, zone, after)
    assert after < due <= after + timedelta(days=1 if cadence == "daily" else 7, hours=1)


async def test_who_is_told_at_once_has_none(pool: Pool) -> None:
    assert await pool.fetchval(_DUE, "immediate", 8, 1, "Europe/Brussels", datetime.now(UTC)) is None


async def run_of_a_year(pool: Pool, hour: int) -> list[Any]:
    """Every digest of a year, each asked for at the instant of the one before."""
    found, after = [], datetime(2027, 1, 1, tzinfo=UTC)
    while after < datetime(2028, 1, 1, tzinfo=UTC):
        after = await pool.fetchval(_DUE, "daily", hour, 1, "Europe/Brussels", after)
        found.append(after)
    return found


async def test_a_year_has_one_a_day_whatever_the_clock_does(pool: Pool) -> None:
    for hour in (2, 8):
        days = [shown(due, "Europe/Brussels").date() for due in await run_of_a_year(pool, hour)]
        assert len(days) == len(set(days)) == 366
        assert days[-1] - days[0] == timedelta(days=365)
