"""When to try again: a readable list of waits, and the manners that lengthen them.

Rules:
1. The schedule is the waits *between* tries: n waits give n + 1 tries.
2. Jitter only ever adds (a tenth of the wait at most), so no try comes early.
3. What the receiver asks for (`Retry-After`) wins when it is longer, up to a day.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from tenacity import RetryCallState, wait_chain, wait_fixed

LONGEST_RETRY_AFTER = timedelta(hours=24)
JITTER_SHARE = 0.1
_LONGEST_WAIT = timedelta(days=30)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WAIT = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")

#: Source: Standard Webhooks 1.0.0, "Deliverability and reliability": 10 tries over 75 h 35 m.
WEBHOOK_SCHEDULE = "5s 5m 30m 2h 5h 10h 14h 20h 24h"
#: Greylisting lets the second or third try in; a relay in trouble gets almost four days (RFC 5321 4.5.4.1).
EMAIL_SCHEDULE = "1m 5m 15m 30m 1h 2h 4h 8h 12h 12h 24h 24h"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The waits between tries, first to last."""

    schedule: tuple[timedelta, ...]

    @property
    def tries(self) -> int:
        """How many tries there are at most."""
        return len(self.schedule) + 1

    def wait_after(
        self,
        attempt: int,
        *,
        jitter: float = 0.0,
        retry_after: timedelta | None = None,
        at_least: timedelta = timedelta(),
    ) -> timedelta | None:
        """How long to wait after a failed try (counted from 1); None when it was the last.

        >>> RetryPolicy.parse("5s 5m").wait_after(2, jitter=0.5)
        datetime.timedelta(seconds=315)
        """
        if attempt > len(self.schedule):
            return None
        base = timedelta(seconds=_strategy(self.schedule)(_call(attempt)))
        patient = max(base, at_least)
        asked = min(retry_after or timedelta(), LONGEST_RETRY_AFTER)
        return max(patient + patient * JITTER_SHARE * jitter, asked)

    @classmethod
    def parse(cls, text: str) -> "RetryPolicy":
        """Read waits such as `5s 5m 30m 2h`, separated by blanks or commas; raise ValueError."""
        return cls(tuple(_wait(word) for word in text.replace(",", " ").split()))


def _wait(word: str) -> timedelta:
    found = _WAIT.fullmatch(word)
    if not found:
        raise ValueError(f"{word!r} is not a wait; write a number and s, m, h or d, such as 30m")
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds > _LONGEST_WAIT.total_seconds():
        raise ValueError(f"{word[:20]!r} is longer than {_LONGEST_WAIT.days} days")
    return timedelta(seconds=seconds)


def _strategy(schedule: tuple[timedelta, ...]) -> wait_chain:
    return wait_chain(*(wait_fixed(wait) for wait in schedule))


def _call(attempt: int) -> RetryCallState:
    """Tell tenacity's strategies which try it was; they look at nothing else."""
    state = RetryCallState(cast(Any, None), None, (), {})
    state.attempt_number = attempt
    return state
