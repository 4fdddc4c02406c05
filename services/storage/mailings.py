"""Mailings: digests and reminders, one mail about several opportunities, and the delivery that carries it.

Making them runs in the caller's transaction, and takes hold of the subscriber: so two dispatchers make one.
Lock order: subscriber, subscriptions, carriers, what they carry.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from datetime import date, datetime
from uuid import UUID

import asyncpg

from services.runtime.database import Connection
from services.storage import queries
from services.storage.deliveries import Claim

_sql = queries.load(__file__)
Row = asyncpg.Record
#: One day more than the earliest reminder: a local date begins before ours.
_DAYS_AHEAD = 16


@dataclass(frozen=True, slots=True)
class Reminder:
    """An opportunity that an address is to be reminded of; `period` is the subscriber's local day."""

    subscriber_id: UUID
    address: bytes = field(repr=False)
    period: date
    subscription_id: UUID
    destination: str = field(repr=False)
    event_id: UUID
    subject: str
    deadline: datetime
    days: int


async def make_digests(connection: Connection, now: datetime, *, limit: int = 500) -> int:
    """Make the digests that are due, those of at most so many deliveries; return how many there was work for.

    Idempotent: a subscriber's address has one digest of a kind a day.
    """
    owners = [row["id"] for row in await connection.fetch(_sql.digests_due, now, limit)]
    if owners:
        await connection.fetch(_sql.hold, owners)
        await connection.fetch(_sql.make_digests, now, owners)
        await connection.execute(_sql.wait_for_next, now, owners)
        await connection.execute(_sql.wake_senders)
    return len(owners)


async def to_remind(connection: Connection, now: datetime, *, limit: int = 100) -> list[Row]:
    """Take hold of subscribers who are to be looked at for reminders, with what they wish."""
    rows = await connection.fetch(_sql.reminders_due, now, limit)
    await connection.fetch(_sql.hold, [row["id"] for row in rows])
    return rows


async def remindable(connection: Connection, now: datetime, subscriber_ids: Sequence[UUID]) -> list[Row]:
    """List what subscribers could be reminded of, by address, with the reminders that they had."""
    return await connection.fetch(_sql.remindable, now, subscriber_ids, _DAYS_AHEAD)


async def make_reminders(
    connection: Connection, now: datetime, subscriber_ids: Sequence[UUID], due: Sequence[Reminder]
) -> int:
    """Make the mailings of these reminders, and look again tomorrow; return how many mailings were made."""
    columns = list(zip(*(astuple(each) for each in due), strict=True))
    made = await connection.fetch(_sql.make_reminders, *columns) if columns else []
    await connection.execute(_sql.look_tomorrow, now, subscriber_ids)
    if made:
        await connection.execute(_sql.wake_senders)
    return len(made)


async def next_due(connection: Connection) -> datetime | None:
    """Tell when the next mailing may have to be made."""
    due: datetime | None = await connection.fetchval(_sql.next_due)
    return due


async def heads(connection: Connection, carriers: Sequence[Claim]) -> list[Row]:
    """Read of which kind and day mailings are, by carrier."""
    return await connection.fetch(_sql.heads, [carrier.id for carrier in carriers])


async def take_along(connection: Connection, carriers: Sequence[Claim]) -> list[Row]:
    """Note that what mailings carry is being sent with them; return what it is, by carrier.

    What was withdrawn, unsubscribed, superseded or late meanwhile is no longer among it.
    """
    return await connection.fetch(
        _sql.take_along, [carrier.id for carrier in carriers], [carrier.attempt for carrier in carriers]
    )


async def reminded_of(connection: Connection, carriers: Sequence[Claim]) -> list[Row]:
    """List what mailings remind of, as far as it still stands, by carrier."""
    return await connection.fetch(_sql.reminded_of, [carrier.id for carrier in carriers])


async def newest(connection: Connection, event_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Find the newest version of each event's opportunity; those that are the newest are left out."""
    return {row["id"]: row["newest"] for row in await connection.fetch(_sql.newest, event_ids)}


async def call_off(connection: Connection, carriers: Sequence[Claim]) -> None:
    """Cancel mailings of which nothing is left to send."""
    await connection.execute(
        _sql.call_off, [carrier.id for carrier in carriers], [carrier.attempt for carrier in carriers]
    )
