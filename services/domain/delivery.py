"""The life of a delivery: one event owed to one subscription.

Rules:
1. Every legal change of state stands in TRANSITIONS, and nowhere else.
2. A final state never changes; an operator's replay is a new delivery that points at the old one.
3. `sent` says that the next hop accepted it, no more.
4. An attempt stopped by our own shutdown does not count.
5. Nothing is tried at or after the opportunity's deadline.
6. What goes with a digest is `pending` until the digest is being sent, and then what the digest is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from services.domain.retry import RetryPolicy

EXCERPT_BYTES = 8 * 1024


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENDING = "sending"
    RETRYING = "retrying"
    UNKNOWN = "unknown"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


FINAL = frozenset({State.SENT, State.FAILED, State.SUPPRESSED, State.EXPIRED, State.CANCELLED})
OWED = frozenset(State) - FINAL

TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset(
        # retrying: put off untried, because the circuit breaker is open or quiet hours run
        {State.SENDING, State.RETRYING, State.SUPPRESSED, State.EXPIRED, State.CANCELLED}
    ),
    State.SENDING: frozenset(
        # pending: a first attempt that our own shutdown stopped, or what a digest carries until its next try
        {
            State.SENT,
            State.RETRYING,
            State.PENDING,
            State.UNKNOWN,
            State.FAILED,
            State.EXPIRED,
            State.CANCELLED,
        }
    ),
    State.RETRYING: frozenset({State.SENDING, State.SUPPRESSED, State.EXPIRED, State.CANCELLED}),
    State.UNKNOWN: frozenset({State.SENDING, State.SENT, State.RETRYING, State.FAILED}),
    **{final: frozenset() for final in FINAL},
}


class IllegalTransition(Exception):
    """A bug: the code asked for a change of state that TRANSITIONS does not have."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The next hop accepted it."""

    code: int | None = None
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Temporary:
    """It did not work now; it may later.

    `retry_after` is what the receiver asked for; `at_least` is what good manners ask for.
    """

    error: str
    code: int | None = None
    excerpt: str = ""
    retry_after: timedelta | None = None
    at_least: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Permanent:
    """It will never work as it is. `gone`: the receiver asks us never to come back."""

    error: str
    code: int | None = None
    excerpt: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have been accepted; it has to be read back before it is repeated."""

    error: str
    code: int | None = None
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Our own shutdown stopped the attempt."""

    error: str = "interrupted"
    code: int | None = None
    excerpt: str = ""


Outcome = Sent | Temporary | Permanent | Unknown | Interrupted


@dataclass(frozen=True, slots=True)
class Step:
    """What an outcome makes of a delivery.

    `attempts` is how many tries count from now on; `next_attempt_at` is set exactly for
    `retrying`; `reason` is a short code that explains a state other than `sent`.
    """

    state: State
    attempts: int
    next_attempt_at: datetime | None = None
    reason: str | None = None


def check(before: State, after: State) -> None:
    """Raise `IllegalTransition` unless TRANSITIONS has this change."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"{before} -> {after}")


def settle(
    outcome: Outcome,
    *,
    attempts: int,
    policy: RetryPolicy,
    expires_at: datetime | None,
    now: datetime,
    jitter: float,
) -> Step:
    """Decide what becomes of a delivery that is `sending`.

    `attempts` counts from 1 and includes this try; `jitter` is a number from 0 up to 1.
    """
    match outcome:
        case Sent():
            return Step(State.SENT, attempts)
        case Permanent(error=error):
            return Step(State.FAILED, attempts, reason=error)
        case Unknown(error=error):
            return Step(State.UNKNOWN, attempts, reason=error)
        case Interrupted(error=error):
            if attempts == 1:
                return Step(State.PENDING, 0, reason=error)
            return Step(State.RETRYING, attempts - 1, now, reason=error)
        case Temporary():
            wait = policy.wait_after(
                attempts, jitter=jitter, retry_after=outcome.retry_after, at_least=outcome.at_least
            )
            return _later(outcome.error, attempts, wait, expires_at=expires_at, now=now)
        case _:
            assert_never(outcome)


def _later(
    error: str, attempts: int, wait: timedelta | None, *, expires_at: datetime | None, now: datetime
) -> Step:
    if wait is None:
        return Step(State.FAILED, attempts, reason=error)
    if expires_at is not None and now + wait >= expires_at:
        return Step(State.EXPIRED, attempts, reason="deadline")
    return Step(State.RETRYING, attempts, now + wait, reason=error)


def storable(excerpt: str) -> str:
    """Cut an answer to what is kept of it, as text that Postgres holds."""
    raw = excerpt.encode("utf-8", "replace")[:EXCERPT_BYTES]
    return raw.decode("utf-8", "ignore").replace("\x00", "")
