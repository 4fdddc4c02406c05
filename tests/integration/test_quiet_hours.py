"""Quiet hours: nothing is planned into them, by the subscriber's clock, and nothing is lost by it."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, assume, example, given, settings

from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import replays, subscriptions
from tests.integration.clocks import last_reading, moments, shown, times, zones
from tests.integration.owing import Books, Subscribed, sending, settings_for
from tests.rig.receiver import Receiver
from tests.rig.samples import opportunity

NOWHERE = "http://127.0.0.1:9/"
NIGHT = (time(22), time(7))
BRUSSELS = ZoneInfo("Europe/Brussels")
EVENING = datetime(2027, 1, 12, 23, 30, tzinfo=BRUSSELS)
MORNING = datetime(2027, 1, 13, 7, 0, tzinfo=BRUSSELS)

bounded = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def books(pool: Pool, database_url: str) -> Books:
    """Books of this test's database."""
    return Books(pool, settings_for(database_url))


def around_now() -> tuple[time, time]:
    """Quiet hours that run for another hour or so, in Brussels."""
    now = utc_now().astimezone(BRUSSELS)
    return tuple((now + timedelta(hours=hours)).time().replace(second=0, microsecond=0) for hours in (-1, 1))  # type: ignore[return-value]


async def quiet_end(pool: Pool, starts: time, ends: time, zone: str, at: datetime) -> datetime | None:
    """Ask the database."""
    found: datetime | None = await pool.fetchval("SELECT quiet_end($1, $2, $3, $4)", starts, ends, zone, at)
    return found


def quiet_at(starts: time, ends: time, clock: datetime) -> bool:
    """Tell whether a clock shows a time within the quiet hours."""
    if starts < ends:
        return starts <= clock.time() < ends
    return clock.time() >= starts or clock.time() < ends


def oracle(starts: time, ends: time, zone: str, at: datetime) -> datetime | None:
    """The end of the quiet hours that run, found by looking at the clock's next days."""
    clock = shown(at, zone)
    if not quiet_at(starts, ends, clock):
        return None
    days = (clock.date() + timedelta(days=n) for n in range(2))
    return min(
        end
        for day in days
        if datetime.combine(day, ends) > clock and (end := last_reading(datetime.combine(day, ends), zone))
    )


@bounded
@given(starts=times, ends=times, zone=zones, at=moments)
@example(time(22), time(7), "Europe/Brussels", datetime(2027, 3, 28, 0, 30, tzinfo=UTC))
@example(time(22), time(2, 30), "Europe/Brussels", datetime(2027, 3, 28, 0, 30, tzinfo=UTC))
@example(time(22), time(2, 30), "Europe/Brussels", datetime(2027, 10, 31, 0, 15, tzinfo=UTC))
@example(time(22), time(2, 30), "Europe/Brussels", datetime(2027, 10, 31, 1, 15, tzinfo=UTC))
@example(time(22), time(7), "Europe/Brussels", datetime(2028, 2, 28, 22, 0, tzinfo=UTC))
async def test_their_end_is_what_the_clock_says(
    pool: Pool, starts: time, ends: time, zone: str, at: datetime
) -> None:
    assume(starts != ends)
    found = await quiet_end(pool, starts, ends, zone, at)
    assert found == oracle(starts, ends, zone, at)
    if found is not None:
        assert at < found <= at + timedelta(hours=25)


async def test_without_quiet_hours_there_is_no_end(pool: Pool) -> None:
    assert await pool.fetchval("SELECT quiet_end(NULL, NULL, 'Europe/Brussels', now())") is None


async def stand(books: Books, somebody: Subscribed) -> list[tuple[Any, ...]]:
    """Read how a subscription's deliveries stand."""
    return [
        (row["state"], row["reason"], row["next_attempt_at"])
        for row in await books.of_subscription(somebody.id)
    ]


async def test_what_is_planned_at_night_waits_for_the_morning_untried(books: Books) -> None:
    somebody, other = await books.subscribe(NOWHERE, quiet=NIGHT), await books.subscribe(NOWHERE)
    await books.plan(at=EVENING)
    assert await stand(books, somebody) == [("retrying", "quiet_hours", MORNING)]
    assert await stand(books, other) == [("pending", None, None)]
    assert (await books.of_subscription(somebody.id))[0]["attempts"] == 0


async def test_by_day_nothing_waits(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE, quiet=NIGHT)
    await books.plan(at=MORNING)
    assert await stand(books, somebody) == [("pending", None, None)]


async def test_it_is_the_subscribers_own_clock(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE, quiet=NIGHT, timezone="America/New_York")
    await books.plan(at=EVENING)
    assert await stand(books, somebody) == [("pending", None, None)]


@pytest.mark.parametrize(("minutes", "waits"), [(-1, False), (0, False), (1, True)])
async def test_what_ends_before_the_morning_is_sent_at_night(books: Books, minutes: int, waits: bool) -> None:
    somebody = await books.subscribe(NOWHERE, quiet=NIGHT)
    deadline = (MORNING + timedelta(minutes=minutes)).isoformat()
    await books.plan(at=EVENING, data=opportunity(deadline=deadline))
    assert [state for state, _, _ in await stand(books, somebody)] == ["retrying" if waits else "pending"]


async def test_it_is_sent_when_they_end(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        somebody = await books.subscribe(receiver.url(), quiet=around_now())
        await books.plan()
        assert await books.claim() == []
        (row,) = await books.of_subscription(somebody.id)
        await books.pool.execute("UPDATE deliveries SET next_attempt_at = now() WHERE id = $1", row["id"])
        await books.until_state(row["id"], "sent")
        assert len(receiver.requests) == 1
    (attempt,) = await books.attempts(row["id"])
    assert attempt["number"] == 1


async def test_another_try_waits_for_their_end_too(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", 500)
        somebody = await books.subscribe(receiver.url(), quiet=around_now())
        await books.plan(at=MORNING)
        (row,) = await books.until_states(somebody.id, "retrying")
        (attempt,) = await books.attempts(row["id"])
    assert row["reason"] == "http_500"
    assert row["next_attempt_at"] - utc_now() > timedelta(minutes=55)
    assert attempt["next_attempt_at"] == row["next_attempt_at"]


async def change(books: Books, somebody: Subscribed, quiet: tuple[time, time] | None) -> None:
    """Change the quiet hours, as the registry does."""
    async with books.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, somebody.id)
        await subscriptions.set_quiet_hours(connection, somebody.id, quiet)


async def test_without_them_what_waited_goes_at_once(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        somebody = await books.subscribe(receiver.url(), quiet=around_now())
        await books.plan()
        await change(books, somebody, None)
        await books.until_states(somebody.id, "sent")


async def test_other_ones_move_what_waits_and_what_is_owed(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE, quiet=around_now())
    await books.plan()
    ((_, _, before),) = await stand(books, somebody)
    starts, ends = around_now()
    later = (starts, (datetime.combine(utc_now().date(), ends) + timedelta(hours=1)).time())
    await change(books, somebody, later)
    assert await stand(books, somebody) == [("retrying", "quiet_hours", before + timedelta(hours=1))]
    other = await books.subscribe(NOWHERE)
    await books.plan()
    await change(books, other, around_now())
    assert [(state, why) for state, why, _ in await stand(books, other)] == [("retrying", "quiet_hours")]


async def test_who_unsubscribes_at_night_is_not_told_in_the_morning(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE, quiet=NIGHT)
    await books.plan(at=EVENING)
    async with books.pool.acquire() as connection, connection.transaction():
        await subscriptions.end(connection, somebody.id, "unsubscribed")
    assert await stand(books, somebody) == [("cancelled", "unsubscribed", None)]


async def test_what_was_withdrawn_at_night_is_not_told_in_the_morning(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE, quiet=NIGHT)
    data = opportunity()
    await books.plan(at=EVENING, data=data)
    await books.plan(type="opportunity.withdrawn", data={"id": data["id"]}, at=EVENING)
    assert await stand(books, somebody) == [("cancelled", "withdrawn", None)]


async def test_an_operator_may_send_it_at_night(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        somebody = await books.subscribe(receiver.url(), quiet=around_now())
        await books.plan()
        (row,) = await books.of_subscription(somebody.id)
        async with books.pool.acquire() as connection, connection.transaction():
            assert await replays.retry_now(connection, row["id"])
        await books.until_state(row["id"], "sent")


@pytest.mark.parametrize("name", ["Europe/Bruxelles", "Mars/Base", "+"])
async def test_a_clock_that_the_database_does_not_know_is_nobodys(pool: Pool, name: str) -> None:
    with pytest.raises((asyncpg.InvalidParameterValueError, asyncpg.CheckViolationError)):
        await pool.execute(
            "INSERT INTO subscribers (slug, name, kind, timezone) VALUES ('een', 'Een', 'other', $1)", name
        )
