"""The life of a delivery: every step is legal, and no step comes too late."""

import re
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.delivery import (
    FINAL,
    OWED,
    TRANSITIONS,
    IllegalTransition,
    Interrupted,
    Outcome,
    Permanent,
    Sent,
    State,
    Step,
    Temporary,
    Unknown,
    check,
    settle,
)
from services.domain.retry import RetryPolicy
from services.storage.migrate import MIGRATIONS

NOW = datetime(2027, 1, 12, 12, 0, tzinfo=UTC)

waits = st.timedeltas(timedelta(), timedelta(days=30))
policies = st.lists(waits, max_size=5).map(lambda schedule: RetryPolicy(tuple(schedule)))
temporaries = st.builds(Temporary, st.just("busy"), retry_after=st.none() | waits, at_least=waits)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.just(Sent(200)), st.just(Permanent("gone", 410)), st.just(Unknown("cut")), temporaries
)
deadlines = st.none() | st.timedeltas(timedelta(days=-40), timedelta(days=60)).map(lambda d: NOW + d)
jitters = st.floats(0, 1, exclude_max=True)
tries = st.integers(1, 8)


def settled(
    outcome: Outcome, attempts: int, policy: RetryPolicy, expires_at: datetime | None, jitter: float = 0
) -> Step:
    return settle(outcome, attempts=attempts, policy=policy, expires_at=expires_at, now=NOW, jitter=jitter)


@given(outcomes | st.just(Interrupted()), tries, policies, deadlines, jitters)
def test_every_outcome_makes_a_legal_step(
    outcome: Outcome, attempts: int, policy: RetryPolicy, expires_at: datetime | None, jitter: float
) -> None:
    step = settled(outcome, attempts, policy, expires_at, jitter)
    check(State.SENDING, step.state)
    assert (step.state is State.RETRYING) == (step.next_attempt_at is not None)
    assert step.next_attempt_at is None or step.next_attempt_at >= NOW
    assert (step.reason is None) == (step.state is State.SENT)


@given(outcomes, tries, policies, deadlines, jitters)
def test_a_try_that_ended_counts_and_the_next_is_before_the_deadline(
    outcome: Outcome, attempts: int, policy: RetryPolicy, expires_at: datetime | None, jitter: float
) -> None:
    step = settled(outcome, attempts, policy, expires_at, jitter)
    assert step.attempts == attempts
    if step.next_attempt_at is not None and expires_at is not None:
        assert step.next_attempt_at < expires_at


@given(tries, policies, deadlines)
def test_a_try_that_we_interrupted_does_not_count(
    attempts: int, policy: RetryPolicy, expires_at: datetime | None
) -> None:
    step = settled(Interrupted(), attempts, policy, expires_at)
    assert step.attempts == attempts - 1
    assert step.state is (State.PENDING if attempts == 1 else State.RETRYING)


@given(temporaries, policies, jitters)
def test_tries_end_in_failure_after_as_many_as_the_policy_has(
    outcome: Temporary, policy: RetryPolicy, jitter: float
) -> None:
    states = [settled(outcome, n, policy, None, jitter).state for n in range(1, policy.tries + 1)]
    assert states == [State.RETRYING] * (policy.tries - 1) + [State.FAILED]


@given(temporaries, st.integers(0, 3), jitters)
def test_a_wait_that_would_end_at_the_deadline_expires(
    outcome: Temporary, late_seconds: int, jitter: float
) -> None:
    policy = RetryPolicy((timedelta(minutes=1),))
    wait = policy.wait_after(1, jitter=jitter, retry_after=outcome.retry_after, at_least=outcome.at_least)
    assert wait is not None
    step = settled(outcome, 1, policy, NOW + wait - timedelta(seconds=late_seconds), jitter)
    assert (step.state, step.reason) == (State.EXPIRED, "deadline")


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_only_what_the_table_has_is_legal(before: State, after: State) -> None:
    if after in TRANSITIONS[before]:
        check(before, after)
    else:
        with pytest.raises(IllegalTransition, match=f"{before} -> {after}"):
            check(before, after)


def test_final_states_never_change_and_all_others_can_end() -> None:
    assert set(TRANSITIONS) == set(State) == FINAL | OWED
    assert all(not TRANSITIONS[state] for state in FINAL)
    assert all(TRANSITIONS[state] & FINAL for state in OWED)


def test_the_database_knows_the_same_states() -> None:
    schema = "".join(path.read_text("utf-8") for path in sorted(Path(MIGRATIONS).glob("*.sql")))
    listed = re.search(r"CREATE TYPE delivery_state AS ENUM \((.*?)\);", schema, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"'([a-z]+)'", listed[1])) == set(State)


def test_the_database_calls_the_same_states_final() -> None:
    schema = "".join(path.read_text("utf-8") for path in sorted(Path(MIGRATIONS).glob("*.sql")))
    listed = re.search(r"CONSTRAINT final_says_when CHECK \(\s*\(state IN \((.*?)\)", schema, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"'([a-z]+)'", listed[1])) == set(FINAL)
