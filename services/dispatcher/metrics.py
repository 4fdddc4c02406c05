"""What the dispatcher counts, and the one canonical line per attempt."""

import logging

from prometheus_client import Counter, Histogram

from services.storage.deliveries import Result

log = logging.getLogger("omroeper.delivery")

ATTEMPTS = Counter("omroeper_attempts_total", "Attempts by channel and outcome", ["channel", "outcome"])
SECONDS = Histogram(
    "omroeper_attempt_seconds",
    "How long an attempt took",
    ["channel"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60),
)
PLANNED = Counter("omroeper_deliveries_planned_total", "Deliveries owed by the planner")
DEAD_LETTERS = Counter("omroeper_dead_letters_total", "Records that could not be read")
RECLAIMED = Counter("omroeper_leases_expired_total", "Deliveries taken back from a dead dispatcher")
EXPIRED = Counter("omroeper_deliveries_expired_total", "Deliveries that met their deadline")


def attempted(channel: str, result: Result) -> None:
    """Count an attempt and write its line: ids only, no addresses, no bodies."""
    ATTEMPTS.labels(channel, result.outcome).inc()
    SECONDS.labels(channel).observe(result.duration_ms / 1000)
    if not log.isEnabledFor(logging.INFO):
        return
    log.info(
        "delivery.attempted",
        extra={
            "event_id": result.claim.event_id,
            "subscription_id": result.claim.subscription_id,
            "delivery_id": result.claim.id,
            "channel": channel,
            "attempt": result.claim.attempt,
            "outcome": result.outcome,
            "code": result.code,
            "error": result.error,
            "duration_ms": result.duration_ms,
            "state": str(result.step.state),
            "next_attempt_at": result.step.next_attempt_at,
        },
    )
