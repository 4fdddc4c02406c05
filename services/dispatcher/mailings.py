"""Makes the digests and reminders that are due; the senders then send them like anything else.

A run that was missed is caught up as soon as somebody looks. Several dispatchers make each mailing once.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from services.domain.reminders import Wishes, due
from services.runtime.clock import utc_now
from services.runtime.database import UNAVAILABLE, Connection, Pool
from services.runtime.waiting import until
from services.storage import mailings
from services.storage.mailings import Reminder

log = logging.getLogger(__name__)
_LONGEST_PAUSE = 5.0
_SHORTEST_PAUSE = 0.05


async def run_mailings(pool: Pool, stop: asyncio.Event, clock: Callable[[], datetime] = utc_now) -> None:
    """Make mailings when they are due, until `stop`."""
    while not stop.is_set():
        pause = _LONGEST_PAUSE
        try:
            pause = await _look(pool, clock())
        except UNAVAILABLE as error:
            log.warning("mailings wait for the database: %s", type(error).__name__)
        except Exception:
            # what one subscriber's data does must not stop the digests of all the others for good
            log.exception("mailings not made, tried again")
        await until(stop, pause)


async def _look(pool: Pool, now: datetime) -> float:
    """Make what is due; tell how many seconds to wait before looking again."""
    await make_due(pool, now)
    async with pool.acquire() as connection:
        next_due = await mailings.next_due(connection)
    seconds = (next_due - now).total_seconds() if next_due else _LONGEST_PAUSE
    return min(max(seconds, _SHORTEST_PAUSE), _LONGEST_PAUSE)


async def make_due(pool: Pool, now: datetime) -> None:
    """Make every digest and reminder that is due. Idempotent; each batch is one transaction."""
    for make in (mailings.make_digests, _remind):
        more = True
        while more:
            async with pool.acquire() as connection, connection.transaction():
                more = await make(connection, now) > 0


async def _remind(connection: Connection, now: datetime) -> int:
    """Make the reminders of some subscribers; return how many were looked at."""
    subscribers = await mailings.to_remind(connection, now)
    wishes = {row["id"]: _wishes(row) for row in subscribers}
    if wishes:
        told = await mailings.remindable(connection, now, list(wishes))
        await mailings.make_reminders(connection, now, list(wishes), list(_due(told, wishes, now)))
    return len(wishes)


def _wishes(row: Any) -> Wishes:
    return Wishes(days=row["reminder_days"], hour=row["digest_hour"], zone=ZoneInfo(row["timezone"]))


def _due(told: Sequence[Any], wishes: Mapping[UUID, Wishes], now: datetime) -> Iterator[Reminder]:
    for row in told:
        wanted = wishes[row["subscriber_id"]]
        days = due(
            row["deadline"],
            received_at=row["received_at"],
            reminded=row["reminded"],
            wishes=wanted,
            now=now,
        )
        if days is not None:
            yield Reminder(
                subscriber_id=row["subscriber_id"],
                address=row["address"],
                period=now.astimezone(wanted.zone).date(),
                subscription_id=row["subscription_id"],
                destination=row["destination"],
                event_id=row["event_id"],
                subject=row["subject"],
                deadline=row["deadline"],
                days=days,
            )
