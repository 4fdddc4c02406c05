"""Invitations: the letter that tells somebody that they were added, and may sign in.

A mailbox has one a month at most, whoever asks, and a subscriber sends few a day: so nobody can be bothered
with them.
"""

from datetime import timedelta
from uuid import UUID

from services.domain.limits import Limit
from services.domain.subscriber import mailbox_of
from services.runtime.clock import utc_now
from services.runtime.database import Connection
from services.runtime.vault import Vault
from services.storage import left_alone, letters, queries
from services.storage.letters import Letter

_sql = queries.load(__file__)

OF_A_MAILBOX = Limit(1, timedelta(days=30))
OF_A_SUBSCRIBER = Limit(10, timedelta(days=1))
_USEFUL_FOR = timedelta(days=3)


async def invite(
    connection: Connection, vault: Vault, subscriber_id: UUID, email: str, added_by: str | None
) -> bool:
    """Have a letter `invited` sent to a person who was added; False where a limit, or its owner, forbids it.

    `added_by` is the address of the colleague who did it; None for the operator. Runs in the caller's
    transaction.
    """
    marks = vault.fingerprints(mailbox_of(email))
    if await left_alone.is_listed(connection, vault, email) or not await _room(
        connection, subscriber_id, marks
    ):
        return False
    await connection.execute(_sql.add, subscriber_id, marks[0])
    for subscriber in await connection.fetch(_sql.subject, subscriber_id):
        shown = {"subscriber": subscriber["name"], "added_by": added_by or ""}
        letter = Letter("invited", email, subscriber["language"], shown, _USEFUL_FOR)
        await letters.add(connection, vault, letter)
    return True


async def _room(connection: Connection, subscriber_id: UUID, marks: list[bytes]) -> bool:
    # the mailbox first, always: whoever takes both locks takes them in this order
    await connection.execute(_sql.turn, marks[0].hex())
    await connection.execute(_sql.turn, subscriber_id.hex)
    now = utc_now()
    to_mailbox = await connection.fetch(_sql.to_mailbox, marks, OF_A_MAILBOX.most)
    of_subscriber = await connection.fetch(_sql.of_subscriber, subscriber_id, OF_A_SUBSCRIBER.most)
    return not (
        OF_A_MAILBOX.wait([row["created_at"] for row in to_mailbox], now)
        or OF_A_SUBSCRIBER.wait([row["created_at"] for row in of_subscriber], now)
    )
