"""The circuit breaker of an endpoint, and when a dead endpoint is disabled.

Rules:
1. Closed: everything goes. After `failures` failed tries in a row it opens.
2. Open: nothing is tried until `open_until`; then one delivery goes as a probe.
3. The probe's success closes it; its failure opens it again, twice as long, up to a cap.
4. Disabling needs time *and* count: failing for `disable_after`, and `disable_failures` times.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, for how long, and when the endpoint is given up."""

    failures: int = 10
    open_for: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(hours=1)
    disable_after: timedelta = timedelta(days=5)
    disable_failures: int = 50


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint has done since it last worked; `Health()` is a healthy one."""

    failures: int = 0
    failing_since: datetime | None = None
    openings: int = 0
    open_until: datetime | None = None
    disabled: bool = False


def failed(health: Health, policy: BreakerPolicy, now: datetime, *, probe: bool = False) -> Health:
    """Count one more failed try. While a `probe` is out, `open_until` is the end of its lease."""
    since = health.failing_since or now
    worse = replace(health, failures=health.failures + 1, failing_since=since)
    if _hopeless(worse, policy, now):
        return replace(worse, disabled=True)
    if worse.failures < policy.failures:
        return worse
    if not probe and health.openings and health.open_until is not None and health.open_until > now:
        return worse  # a straggler from before the breaker opened
    wait = min(policy.open_for * 2 ** min(health.openings, 20), policy.longest)
    return replace(worse, openings=health.openings + 1, open_until=now + wait)


def _hopeless(health: Health, policy: BreakerPolicy, now: datetime) -> bool:
    if health.failing_since is None or health.failures < policy.disable_failures:
        return False
    return now - health.failing_since >= policy.disable_after
