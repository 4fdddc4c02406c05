"""Plans who is owed an event: one statement per event, all in the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.domain.event import PUSHED, EventType
from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)
_PUSHED = [str(kind) for kind in PUSHED]


async def plan(connection: Connection, event_ids: Sequence[UUID], *, at: datetime | None = None) -> int:
    """Owe these events to whom they concern; return how many deliveries came of it.

    What is owed goes at once, after the quiet hours that run, or with the next digest, counted from `at`
    (None: now). Idempotent: an event already planned is left alone. Runs in the caller's transaction.
    """
    rows = await connection.fetch(_sql.lock_unplanned, event_ids)
    owed = 0
    for row in rows:
        if row["type"] == EventType.WITHDRAWN:
            await connection.execute(_sql.cancel_withdrawn, row["id"])
        status = await connection.execute(_sql.plan, row["id"], _PUSHED, at)
        owed += int(status.rsplit(" ", 1)[1])
        await connection.execute(_sql.stop_late, row["id"])
        await connection.execute(_sql.supersede, row["id"])
    if rows:
        await connection.execute(_sql.mark_planned, [row["id"] for row in rows])
        await connection.execute(_sql.wake_senders)
    return owed
