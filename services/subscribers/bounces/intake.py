"""Takes in a message that came back, however it came.

Rules:
1. Whoever hands one in learns nothing of it: unknown, forged or repeated, the answer is the same.
2. It is counted; the log has ids, never addresses.
3. Reading is done beside the event loop, two messages at a time.
"""

import asyncio
import logging
from typing import Final

from prometheus_client import Counter

from services.domain.bounces import Bounce, read_bounce
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import bounces
from services.storage.bounces import Taken
from services.subscribers.transaction import transact

log = logging.getLogger(__name__)
#: The largest message accepted; one that returns a mail whole is far smaller.
LARGEST: Final = 1_000_000
TAKEN = Counter("omroeper_bounces_total", "Messages that came back", ["kind", "became"])
_READERS = 2

# its lines tell of every detector tried, and its tracebacks hold what was read: addresses
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)


class Intake:
    """Reads messages that come back, and has them noted."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._readers = asyncio.Semaphore(_READERS)

    async def take(self, raw: bytes, envelope_to: str = "") -> None:
        """Take in a message, if it is about a delivery; raise what `UNAVAILABLE` names. Idempotent."""
        async with self._readers:
            bounce = await asyncio.to_thread(read_bounce, raw, envelope_to)
        if bounce is None:
            TAKEN.labels("unreadable", Taken.UNKNOWN).inc()
            return
        taken = await transact(self._pool, lambda c: bounces.take(c, bounce, utc_now()))
        _tell(bounce, taken)


def _tell(bounce: Bounce, taken: Taken) -> None:
    TAKEN.labels(bounce.kind, taken).inc()
    log.info(
        "mail came back",
        extra={
            "delivery_id": str(bounce.delivery_id),
            "kind": str(bounce.kind),
            "status": bounce.status,
            "became": str(taken),
        },
    )
