"""The circuit breaker: it opens late, waits longer each time, and gives up only after both bounds."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.domain.breaker import BreakerPolicy, Health, failed

START = datetime(2027, 1, 12, 12, 0, tzinfo=UTC)
POLICY = BreakerPolicy(
    failures=3,
    open_for=timedelta(seconds=30),
    longest=timedelta(minutes=10),
    disable_after=timedelta(days=1),
    disable_failures=8,
)

gaps = st.lists(st.timedeltas(timedelta(), timedelta(hours=6)), min_size=1, max_size=30)


def history(between: list[timedelta]) -> list[tuple[datetime, Health, Health]]:
    """Fail after each of these gaps: the time, the health before and the health after."""
    now, health, steps = START, Health(), []
    for gap in between:
        now += gap
        after = failed(health, POLICY, now)
        steps.append((now, health, after))
        health = after
    return steps


@given(gaps)
def test_every_failure_counts_and_the_first_one_is_remembered(between: list[timedelta]) -> None:
    steps = history(between)
    assert [after.failures for _, _, after in steps] == list(range(1, len(between) + 1))
    assert {after.failing_since for _, _, after in steps} == {START + between[0]}


@given(gaps)
def test_it_opens_at_the_count_and_not_before(between: list[timedelta]) -> None:
    for now, _, after in history(between):
        if after.failures < POLICY.failures:
            assert after.open_until is None
        elif after.failures == POLICY.failures:
            assert after.open_until == now + POLICY.open_for


@given(gaps)
def test_each_opening_is_twice_as_long_up_to_the_cap(between: list[timedelta]) -> None:
    for now, before, after in history(between):
        if after.openings > before.openings:
            assert after.openings == before.openings + 1
            assert after.open_until == now + min(POLICY.open_for * 2**before.openings, POLICY.longest)


@given(gaps)
def test_a_straggler_does_not_lengthen_an_open_breaker(between: list[timedelta]) -> None:
    for now, before, after in history(between):
        if before.open_until is not None and before.open_until > now:
            assert (after.openings, after.open_until) == (before.openings, before.open_until)


@given(gaps)
def test_a_failed_probe_opens_it_again(between: list[timedelta]) -> None:
    for now, before, after in history(between):
        if before.open_until is not None and before.open_until <= now and not after.disabled:
            assert after.open_until is not None
            assert after.open_until > now


@given(gaps)
def test_disabling_needs_time_and_count(between: list[timedelta]) -> None:
    for now, _, after in history(between):
        assert after.failing_since is not None
        long_enough = now - after.failing_since >= POLICY.disable_after
        assert after.disabled == (long_enough and after.failures >= POLICY.disable_failures)


def test_a_breaker_that_opened_very_often_still_has_a_wait() -> None:
    health = Health(failures=9_999, failing_since=START, openings=9_999, open_until=START)
    after = failed(health, BreakerPolicy(disable_failures=10**9), START + timedelta(hours=1))
    assert after.open_until == START + timedelta(hours=2)
