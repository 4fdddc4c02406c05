"""Confirmations: the links by which the owner of a mailbox says yes, or that it was not them.

Rules:
1. A mailbox gets few of them a day, whoever asks; and none for a subscriber to whom its owner said no.
2. A link is good once and for a week, and for the address that it was sent to only.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.domain.limits import Limit, check
from services.domain.subscriber import mailbox_of
from services.runtime.clock import utc_now
from services.runtime.database import Connection
from services.runtime.vault import Vault, new_token, token_hash
from services.storage import left_alone, letters, queries, subscriptions
from services.storage.letters import Letter

_sql = queries.load(__file__)
Row = asyncpg.Record

GOOD_FOR = timedelta(days=7)
OF_A_MAILBOX = Limit(3, timedelta(days=1))
OF_A_SUBSCRIBER = Limit(20, timedelta(days=1))
#: Why a subscription ended whose owner never answered, or said no.
UNANSWERED, REFUSED = "not_confirmed", "refused"


class SaidNo(Exception):
    """The owner of this mailbox said before that they want nothing from this subscriber."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a link leads to. `fresh`: it can still be answered."""

    id: UUID
    subscription_id: UUID
    subscriber_id: UUID
    subscriber: str
    target: str
    destination: str
    cadence: str
    language: str
    status: str
    outcome: str | None
    fresh: bool


async def ask(connection: Connection, vault: Vault, subscription_id: UUID) -> None:
    """Ask the owner of a pending mail subscription to confirm, by a letter `confirm`.

    Earlier links stay good. Raises `TooOften`, `SaidNo`, or LookupError when there is nothing to confirm.
    Runs in the caller's transaction.
    """
    row = await connection.fetchrow(_sql.subject, subscription_id)
    if row is None:
        raise LookupError("no mail subscription that waits for its owner")
    marks = vault.fingerprints(mailbox_of(row["target"]))
    await _check(connection, row["subscriber_id"], marks)
    token = new_token()
    await connection.execute(
        _sql.add, subscription_id, row["subscriber_id"], marks[0], token_hash(token), GOOD_FOR
    )
    shown = {
        "token": token,
        "subscriber": row["subscriber"],
        "cadence": row["cadence"],
        "days": GOOD_FOR.days,
    }
    await letters.add(connection, vault, Letter("confirm", row["target"], row["language"], shown, GOOD_FOR))


async def _check(connection: Connection, subscriber_id: UUID, marks: list[bytes]) -> None:
    # the mailbox first, always: whoever takes both locks takes them in this order
    await connection.execute(_sql.turn, marks[0].hex())
    await connection.execute(_sql.turn, subscriber_id.hex)
    if await connection.fetchval(_sql.said_no, subscriber_id, marks):
        raise SaidNo
    now = utc_now()
    to_mailbox = await connection.fetch(_sql.to_mailbox, marks, OF_A_MAILBOX.most)
    detail = "This mailbox was asked to confirm often enough today; its owner can use the last mail, or wait."
    check(OF_A_MAILBOX, [row["created_at"] for row in to_mailbox], now, detail)
    of_subscriber = await connection.fetch(_sql.of_subscriber, subscriber_id, OF_A_SUBSCRIBER.most)
    detail = "This subscriber had enough mailboxes asked to confirm today; try again later."
    check(OF_A_SUBSCRIBER, [row["created_at"] for row in of_subscriber], now, detail)


async def find(connection: Connection, vault: Vault, token: str) -> Found | None:
    """Find what a link leads to; None for one that we never made."""
    row = await connection.fetchrow(_sql.find, token_hash(token))
    if row is None:
        return None
    same_address = row["mailbox_hash"] in vault.fingerprints(mailbox_of(row["target"]))
    fresh = row["outcome"] is None and not row["expired"] and row["status"] == "pending" and same_address
    names = Found.__dataclass_fields__.keys() - {"fresh"}
    return Found(**{name: row[name] for name in names}, fresh=fresh)


async def confirm(connection: Connection, vault: Vault, found: Found) -> bool:
    """Make the subscription active; False when the link is stale. Runs in the caller's transaction."""
    if not found.fresh or not await subscriptions.confirm(connection, found.subscription_id, found.target):
        return False
    await connection.execute(_sql.settle, found.id, found.subscription_id, "confirmed")
    await left_alone.remove(connection, vault, found.target)
    return True


async def refuse(connection: Connection, found: Found) -> bool:
    """End the subscription because it was not its owner who asked; False when the link is stale.

    Later requests of the same subscriber for this mailbox are refused. Runs in the caller's transaction.
    """
    if not found.fresh or not await connection.fetchval(
        _sql.settle, found.id, found.subscription_id, REFUSED
    ):
        return False
    return await subscriptions.end(connection, found.subscription_id, REFUSED)


async def lapse(connection: Connection, limit: int = 100) -> int:
    """End the mail subscriptions that nobody confirmed in time; return how many. Idempotent."""
    rows = await connection.fetch(_sql.lapsed, limit)
    for row in rows:
        async with connection.transaction():
            await subscriptions.end(connection, row["subscription_id"], UNANSWERED)
    return len(rows)
