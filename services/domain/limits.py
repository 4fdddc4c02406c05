"""How often something may be asked for, so that nobody uses us to bother somebody else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many within a time, looking back from any moment."""

    most: int
    within: timedelta

    def wait(self, before: Sequence[datetime], now: datetime) -> timedelta:
        """Tell how long to wait before one more, given when it was asked before; nothing is now.

        >>> noon = datetime.fromisoformat("2027-01-12T12:00:00+00:00")
        >>> Limit(1, timedelta(hours=1)).wait([noon - timedelta(minutes=20)], noon)
        datetime.timedelta(seconds=2400)
        """
        recent = sorted(at for at in before if now - at < self.within)
        if len(recent) < self.most:
            return timedelta()
        return recent[-self.most] + self.within - now


class TooOften(Exception):
    """Asked for too often; the text says so to whoever asks, `retry_after` counts in whole seconds."""

    def __init__(self, detail: str, wait: timedelta) -> None:
        super().__init__(detail)
        self.retry_after = max(1, math.ceil(wait.total_seconds()))


def check(limit: Limit, before: Sequence[datetime], now: datetime, detail: str) -> None:
    """Raise `TooOften` with this sentence, unless there is room for one more."""
    if wait := limit.wait(before, now):
        raise TooOften(detail, wait)
