"""Retries: a readable schedule, manners that only lengthen it, and an end."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.retry import (
    EMAIL_SCHEDULE,
    JITTER_SHARE,
    LONGEST_RETRY_AFTER,
    WEBHOOK_SCHEDULE,
    RetryPolicy,
)

waits = st.timedeltas(timedelta(), timedelta(days=30))
schedules = st.lists(waits, min_size=1, max_size=8)
jitters = st.floats(0, 1, exclude_max=True)
words = st.tuples(st.integers(0, 60), st.sampled_from("smh"))
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@given(st.lists(words, max_size=10), st.sampled_from([" ", ",", ", ", "  "]))
def test_a_schedule_reads_as_it_is_written(given_words: list[tuple[int, str]], between: str) -> None:
    policy = RetryPolicy.parse(between.join(f"{number}{unit}" for number, unit in given_words))
    assert policy.schedule == tuple(timedelta(seconds=n * _SECONDS[unit]) for n, unit in given_words)
    assert policy.tries == len(given_words) + 1


@pytest.mark.parametrize("text", ["5", "s", "-5s", "5 s", "5s;5m", "1e3s", "5w", "31d", "721h", "5s5m"])
def test_what_is_not_a_wait_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a wait|longer than 30 days"):
        RetryPolicy.parse(text)


@pytest.mark.parametrize("digits", [12, 20, 400])
def test_a_wait_beyond_all_calendars_is_refused_too(digits: int) -> None:
    with pytest.raises(ValueError, match="longer than 30 days"):
        RetryPolicy.parse("9" * digits + "d")


@given(schedules)
def test_n_waits_give_n_and_one_tries_and_then_it_ends(schedule: list[timedelta]) -> None:
    policy = RetryPolicy(tuple(schedule))
    found = [policy.wait_after(attempt) for attempt in range(1, policy.tries + 3)]
    assert found == [*schedule, None, None, None]


def test_without_a_schedule_the_first_try_is_the_last() -> None:
    policy = RetryPolicy.parse("")
    assert policy.tries == 1
    assert policy.wait_after(1) is None


@given(schedules, jitters)
def test_jitter_only_adds_and_a_tenth_at_most(schedule: list[timedelta], jitter: float) -> None:
    plain = RetryPolicy(tuple(schedule)).wait_after(1)
    wait = RetryPolicy(tuple(schedule)).wait_after(1, jitter=jitter)
    assert plain is not None
    assert wait is not None
    assert plain <= wait <= plain * (1 + JITTER_SHARE) + timedelta(microseconds=1)


@given(schedules, jitters)
def test_a_schedule_that_grows_gives_waits_that_grow(schedule: list[timedelta], jitter: float) -> None:
    policy = RetryPolicy(tuple(sorted(schedule)))
    found = [policy.wait_after(attempt, jitter=jitter) for attempt in range(1, policy.tries)]
    grown = [wait for wait in found if wait is not None]
    assert grown == sorted(grown)
    assert len(grown) == len(schedule)


@given(schedules, waits, waits, jitters)
def test_the_receiver_is_given_the_time_it_asked_for(
    schedule: list[timedelta], retry_after: timedelta, at_least: timedelta, jitter: float
) -> None:
    policy = RetryPolicy(tuple(schedule))
    wait = policy.wait_after(1, jitter=jitter, retry_after=retry_after, at_least=at_least)
    alone = policy.wait_after(1, jitter=jitter, at_least=at_least)
    assert wait is not None
    assert alone is not None
    assert wait >= at_least
    assert wait == max(alone, min(retry_after, LONGEST_RETRY_AFTER))


def test_the_schedules_we_ship_are_as_long_as_they_say() -> None:
    webhook, email = RetryPolicy.parse(WEBHOOK_SCHEDULE), RetryPolicy.parse(EMAIL_SCHEDULE)
    assert webhook.tries == 10
    assert sum(webhook.schedule, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)
    assert timedelta(days=3) < sum(email.schedule, timedelta()) <= timedelta(days=4)
