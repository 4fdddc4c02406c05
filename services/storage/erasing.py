"""Erases a subscriber (GDPR article 17): what names or reaches anybody goes, what was done stays.

The ledger keeps every delivery, state, count and time. Of mailboxes that must be left alone for good, a hash
with a key stays (storage/left_alone.py), so that one who complained is known when imported again.
"""

from collections.abc import Sequence
from uuid import UUID

from services.domain.subscriber import mailbox_of
from services.runtime.database import Connection
from services.runtime.vault import Vault
from services.storage import left_alone, letters, queries, subscriptions

_sql = queries.load(__file__)


async def erase(connection: Connection, vault: Vault, slug: str) -> bool:
    """End a subscriber if it has not, and erase it; False when none has, or had, this slug. Idempotent.

    Its slug is free again. Runs in the caller's transaction.
    """
    subscriber_id = await connection.fetchval(_sql.lock, slug)
    if subscriber_id is None:
        marks = vault.fingerprints(slug)
        return await connection.fetchval(_sql.was_erased, marks)  # type: ignore[no-any-return]
    rows = await subscriptions.of_subscriber(connection, subscriber_id)
    for row in rows:
        await subscriptions.end(connection, row["id"], "ended")
    await _remember_whom_to_leave_alone(connection, vault, subscriber_id)
    await _forget_letters(connection, vault, subscriber_id)
    await _blank(connection, subscriber_id, [row["id"] for row in rows])
    await connection.execute(_sql.erase_subscriber, subscriber_id, vault.fingerprints(slug)[0])
    return True


async def mop_up(connection: Connection) -> None:
    """Erase what was on its way when its subscriber was erased, and recorded after that. Idempotent."""
    await connection.execute(_sql.late_attempts)
    await connection.execute(_sql.late_probes)


async def _remember_whom_to_leave_alone(connection: Connection, vault: Vault, subscriber_id: UUID) -> None:
    for row in await connection.fetch(_sql.to_be_left_alone, subscriber_id):
        await left_alone.add(connection, vault, row["target"], row["reason"])


async def _forget_letters(connection: Connection, vault: Vault, subscriber_id: UUID) -> None:
    rows = await connection.fetch(_sql.addresses, subscriber_id)
    marks = [mark for row in rows for mark in vault.fingerprints(mailbox_of(row["address"]))]
    await letters.forget(connection, marks)


async def _blank(connection: Connection, subscriber_id: UUID, subscription_ids: Sequence[UUID]) -> None:
    await connection.execute(_sql.quietly, "on")
    for statement in (_sql.erase_deliveries, _sql.erase_attempts, _sql.erase_receipts):
        await connection.execute(statement, subscriber_id)
    await connection.execute(_sql.quietly, "off")
    for statement in (
        *(_sql.erase_sessions, _sql.erase_mailings, _sql.erase_reminders),
        *(_sql.erase_people, _sql.erase_feeds, _sql.erase_confirmations, _sql.erase_invitations),
    ):
        await connection.execute(statement, subscriber_id)
    for statement in (
        *(_sql.erase_secrets, _sql.erase_health, _sql.erase_probes, _sql.erase_notices),
        _sql.erase_subscriptions,
    ):
        await connection.execute(statement, subscription_ids)
