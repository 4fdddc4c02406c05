"""Bounces: what came back about mails, and the list of subscriptions left alone for it.

Everything runs in the caller's transaction, and takes hold of the subscriptions first.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from services.domain.bounces import Bounce, Kind, Told, believable, judge
from services.runtime.database import Connection
from services.storage import health, queries, replays, subscriptions

_sql = queries.load(__file__)
_REQUEUED = 10_000
_COUNTED = frozenset({Kind.HARD, Kind.SOFT, Kind.COMPLAINT})
_EXPIRED = "expired"


class Taken(StrEnum):
    """What became of a message that came back."""

    UNKNOWN = "unknown"
    TOO_LATE = "too_late"
    REPEATED = "repeated"
    NOTED = "noted"
    SUPPRESSED = "suppressed"


async def take(connection: Connection, bounce: Bounce, now: datetime) -> Taken:
    """Keep what came back beside its delivery, and suppress the subscription if that is due. Idempotent.

    Ignores what is about no mail of ours, or about one sent too long ago to be believed.
    """
    mail = await connection.fetchrow(_sql.mail, bounce.delivery_id)
    if mail is None:
        return Taken.UNKNOWN
    if not believable(mail["sent_at"], now):
        return Taken.TOO_LATE
    return await _note(connection, mail, bounce, now)


async def refused(connection: Connection, refusal: Bounce, now: datetime) -> Taken:
    """Keep that a mail was refused for good when it was handed in, and judge it as if it came back.

    Idempotent.
    """
    mail = await connection.fetchrow(_sql.refused_mail, refusal.delivery_id)
    return Taken.UNKNOWN if mail is None else await _note(connection, mail, refusal, now)


async def _note(connection: Connection, mail: asyncpg.Record, bounce: Bounce, now: datetime) -> Taken:
    rows = await connection.fetch(_sql.concerned, bounce.delivery_id)
    concerned = [await subscriptions.lock(connection, row["subscription_id"]) for row in rows]
    what = (bounce.delivery_id, str(bounce.kind), now, bounce.status, bounce.detail)
    if await connection.fetchval(_sql.note, *what) is None:
        return Taken.REPEATED
    await connection.execute(_sql.note_of_carried, *what)
    if bounce.kind not in _COUNTED:
        return Taken.NOTED
    # a digest goes to one address, and so says the same of every subscription that has it
    verdicts = [await _judge(connection, each, mail["subscriber_id"], now) for each in concerned if each]
    return Taken.SUPPRESSED if any(verdicts) else Taken.NOTED


async def _judge(
    connection: Connection, subscription: asyncpg.Record, subscriber_id: UUID, now: datetime
) -> bool:
    status = subscription["status"]
    if status not in ("active", "paused", "disabled"):
        return False  # nothing is sent to it any more, or not yet
    rows = await connection.fetch(_sql.history, subscription["id"], subscriber_id)
    verdict = judge([Told(r["sent_at"], r["kind"] and Kind(r["kind"]), r["at"]) for r in rows], now)
    if verdict is None:
        return False
    was = "active" if status == "disabled" else status
    await health.disable(connection, subscription["id"], verdict.reason)
    await connection.execute(_sql.suppress, subscription["id"], verdict.reason, was, verdict.until)
    return True


async def listed(
    connection: Connection, *, before: UUID | None, released: bool, limit: int
) -> list[asyncpg.Record]:
    """List the suppressions, newest first; with `released` those that are over, too."""
    return await connection.fetch(_sql.listed, before, released, limit)


async def release(
    connection: Connection, subscription_id: UUID, *, by: str, requeue: bool = False
) -> int | None:
    """Take a subscription off the list, active again; None when it is not on it.

    Returns how many deliveries that it missed are owed once more; 0 unless `requeue`.
    """
    if await subscriptions.lock(connection, subscription_id) is None:
        return None
    row = await connection.fetchrow(_sql.release, subscription_id, by, False)
    if row is None:
        return None
    await subscriptions.resume(connection, subscription_id)
    if not requeue:
        return 0
    missed = await connection.fetch(_sql.missed, subscription_id, row["reason"], row["since"], _REQUEUED)
    return len(await replays.replay(connection, [item["id"] for item in missed]))


async def release_expired(connection: Connection, limit: int = 100) -> int:
    """Take off the list whose time is over, each back to what it was; return how many. Idempotent."""
    count = 0
    for row in await connection.fetch(_sql.over, limit):
        async with connection.transaction():
            count += await _expire(connection, row["subscription_id"])
    return count


async def _expire(connection: Connection, subscription_id: UUID) -> bool:
    await subscriptions.lock(connection, subscription_id)
    row = await connection.fetchrow(_sql.release, subscription_id, _EXPIRED, True)
    if row is None:
        return False
    if row["was"] == "paused":
        await subscriptions.pause(connection, subscription_id)
    else:
        await subscriptions.resume(connection, subscription_id)
    return True
