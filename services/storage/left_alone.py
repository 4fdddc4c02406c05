"""Mailboxes that are left alone although their owner was erased: known by a keyed hash alone."""

from services.domain.subscriber import mailbox_of
from services.runtime.database import Connection
from services.runtime.vault import Vault
from services.storage import queries

_sql = queries.load(__file__)


class LeaveAlone(Exception):
    """The owner of this mailbox wants, or may have, no mails unless they say so themselves."""


async def check(connection: Connection, vault: Vault, address: str, *, asked: bool) -> None:
    """Raise `LeaveAlone` for a mailbox on the list, unless its owner is `asked` to confirm first."""
    if not asked and await is_listed(connection, vault, address):
        raise LeaveAlone


async def is_listed(connection: Connection, vault: Vault, address: str) -> bool:
    """Tell whether a mailbox is on the list."""
    listed: bool = await connection.fetchval(_sql.is_listed, vault.fingerprints(mailbox_of(address)))
    return listed


async def add(connection: Connection, vault: Vault, address: str, reason: str) -> None:
    """Put a mailbox on the list; the first reason stays. Idempotent."""
    await connection.execute(_sql.add, vault.fingerprints(mailbox_of(address))[0], reason)


async def remove(connection: Connection, vault: Vault, address: str) -> None:
    """Take a mailbox off the list, because its owner said yes. Idempotent."""
    await connection.execute(_sql.remove, vault.fingerprints(mailbox_of(address)))
