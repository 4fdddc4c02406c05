"""Subscriptions: by which channel a subscriber is told, and of what. One that ends is kept, for the records.

All that changes several rows runs in the caller's transaction. Whoever ends or pauses a subscription
locks its row first, and then what it is owed: so nothing slips in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import time
from typing import Any
from uuid import UUID

import asyncpg

from services.domain.delivery import State
from services.domain.matching import Filter
from services.domain.subscriber import destination_of
from services.runtime.database import Connection
from services.storage import deliveries, health, queries

_sql = queries.load(__file__)
Row = asyncpg.Record


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription to be kept; its unsubscribe token as a hash, and sealed."""

    subscriber_id: UUID
    channel: str
    target: str = field(repr=False)
    filter: Filter
    language: str
    token_hash: bytes = field(repr=False)
    token_seal: bytes = field(repr=False)
    cadence: str = "immediate"
    quiet: tuple[time, time] | None = None
    status: str = "active"
    reminders: bool = True


async def add(connection: Connection, new: NewSubscription) -> UUID:
    """Add a subscription; one that is `pending` hears of nothing until its owner has confirmed it."""
    destination = destination_of(new.channel, new.target)
    subscription_id: UUID = await connection.fetchval(
        _sql.add,
        new.subscriber_id,
        new.channel,
        new.target,
        destination,
        new.language,
        *columns(new.filter),
        new.token_hash,
        new.token_seal,
        new.cadence,
        *(new.quiet or (None, None)),
        new.status,
        new.reminders,
    )
    return subscription_id


async def get(connection: Connection, subscription_id: UUID) -> Row | None:
    """Find a subscription, if only an ended one."""
    return await connection.fetchrow(_sql.get, subscription_id)


async def of_subscriber(connection: Connection, subscriber_id: UUID) -> list[Row]:
    """List a subscriber's subscriptions, oldest first, the ended ones too."""
    return await connection.fetch(_sql.of_subscriber, subscriber_id)


async def targets(connection: Connection, subscriber_ids: Sequence[UUID]) -> list[Row]:
    """List where these subscribers are told; a target that has ended stands by its last subscription."""
    return await connection.fetch(_sql.targets, subscriber_ids)


async def by_token(connection: Connection, token_hash: bytes) -> Row | None:
    """Find a subscription by the hash of its unsubscribe token."""
    return await connection.fetchrow(_sql.by_token, token_hash)


async def lock(connection: Connection, subscription_id: UUID) -> Row | None:
    """Take hold of a subscription for a change; gives its id, channel and status."""
    return await connection.fetchrow(_sql.lock, subscription_id)


async def end(connection: Connection, subscription_id: UUID, reason: str) -> bool:
    """End a subscription, and cancel what it is owed; False when there is none. Idempotent.

    What is being sent at this moment may still arrive; it is not tried again.
    """
    row = await lock(connection, subscription_id)
    if row is None:
        return False
    if row["status"] != "ended":
        await connection.execute(_sql.end, subscription_id, reason)
        await deliveries.stop_owed(connection, subscription_id, State.CANCELLED, reason)
    return True


async def end_mails(connection: Connection, subscription_id: UUID, reason: str, *, every: bool) -> None:
    """End a subscription, and those whose opportunities come in the same digest. Idempotent.

    With `every`, all subscriptions that its subscriber has at its address.
    """
    for row in await connection.fetch(_sql.sharing, subscription_id, every):
        await end(connection, row["id"], reason)


async def pause(connection: Connection, subscription_id: UUID) -> None:
    """Pause a locked subscription: what it is owed is suppressed, and so is what comes until it resumes.

    What is being sent at this moment may still arrive; it is cancelled rather than tried again.
    """
    await connection.execute(_sql.set_status, subscription_id, "paused")
    await deliveries.stop_owed(connection, subscription_id, State.SUPPRESSED, "paused")


async def resume(connection: Connection, subscription_id: UUID) -> None:
    """Make a locked subscription active again, with a clean bill of health.

    What was suppressed meanwhile stays so; a replay has it sent.
    """
    await connection.execute(_sql.set_status, subscription_id, "active")
    await health.heal(connection, [subscription_id])


async def confirm(connection: Connection, subscription_id: UUID, target: str) -> bool:
    """Make a subscription active whose owner said yes, or proved to be it, for this very target.

    False when it is not pending, or has another target by now. Runs in the caller's transaction.
    """
    return await connection.fetchval(_sql.confirm, subscription_id, target) is not None


async def note_pending(connection: Connection, subscription_id: UUID, reason: str) -> bool:
    """Say why a subscription is still pending; False when it is not."""
    return await connection.fetchval(_sql.note_pending, subscription_id, reason) is not None


async def set_target(connection: Connection, subscription_id: UUID, channel: str, target: str) -> None:
    """Move a locked subscription, with what it is owed; how the old target did no longer counts."""
    destination = destination_of(channel, target)
    await deliveries.let_go(connection, subscription_id, "moved", reminders=True)
    await connection.execute(_sql.set_target, subscription_id, target, destination)
    await connection.execute(_sql.redirect_owed, subscription_id, destination)
    await health.heal(connection, [subscription_id])


async def set_filter(connection: Connection, subscription_id: UUID, wanted: Filter) -> None:
    """Change what a subscription hears of from now on; what it is owed stays owed."""
    await connection.execute(_sql.set_filter, subscription_id, *columns(wanted))


async def set_language(connection: Connection, subscription_id: UUID, language: str) -> None:
    """Change in which language a subscription is told, from the next attempt on."""
    await connection.execute(_sql.set_language, subscription_id, language)


async def set_cadence(connection: Connection, subscription_id: UUID, cadence: str) -> None:
    """Change how often a locked subscription is told: `immediate`, `daily` or `weekly`.

    What waits for a digest goes at once, or waits for the next one of the new cadence.
    """
    if await connection.fetchval(_sql.set_cadence, subscription_id, cadence):
        await deliveries.let_go(connection, subscription_id, "cadence_changed")
        await deliveries.put_off_anew(connection, subscription_id)


async def set_quiet_hours(
    connection: Connection, subscription_id: UUID, quiet: tuple[time, time] | None
) -> None:
    """Change from when until when nothing is sent to a locked subscription, by its clock; None: never.

    What is owed to it follows the new hours.
    """
    if await connection.fetchval(_sql.set_quiet_hours, subscription_id, *(quiet or (None, None))):
        await deliveries.put_off_anew(connection, subscription_id)


async def set_reminders(connection: Connection, subscription_id: UUID, wanted: bool) -> None:
    """Change whether a subscription reminds of deadlines."""
    await connection.execute(_sql.set_reminders, subscription_id, wanted)


async def add_secret(connection: Connection, subscription_id: UUID, kind: str, sealed: bytes) -> None:
    """Give a webhook a secret to sign with."""
    await connection.execute(_sql.add_secret, subscription_id, kind, sealed)


async def retire_secrets(connection: Connection, subscription_id: UUID, overlap_hours: int) -> str | None:
    """Let the present secrets sign along for so many hours; return the kind of the newest."""
    kind: str | None = await connection.fetchval(_sql.newest_secret_kind, subscription_id)
    await connection.execute(_sql.retire_secrets, subscription_id, overlap_hours)
    return kind


def columns(wanted: Filter) -> tuple[Any, ...]:
    """Spell a filter for the planner: the filter itself, then f_types to f_words."""
    value = wanted.value
    return (
        wanted.as_json(),
        [str(kind) for kind in wanted.types],
        wanted.regions,
        wanted.cpv,
        wanted.themes,
        wanted.audience,
        wanted.procedures,
        value and value.min,
        value and value.max,
        value and value.currency,
        wanted.words,
    )
