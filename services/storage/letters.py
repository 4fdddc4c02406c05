"""Letters: mails to one person that are about no event, such as a link to sign in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from services.domain.subscriber import mailbox_of
from services.runtime.database import Connection
from services.runtime.vault import Vault
from services.storage import queries

_sql = queries.load(__file__)
Row = asyncpg.Record


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to be sent; `kind` names its templates, `shown` is what they show (plain JSON values)."""

    kind: str
    recipient: str = field(repr=False)
    language: str
    shown: Mapping[str, Any] = field(repr=False)
    useful_for: timedelta


async def add(connection: Connection, vault: Vault, letter: Letter) -> None:
    """Have a letter sent soon. Runs in the caller's transaction; its recipient and content are sealed."""
    sealed = vault.seal(json.dumps({"recipient": letter.recipient, "shown": dict(letter.shown)}))
    mark = vault.fingerprints(mailbox_of(letter.recipient))[0]
    await connection.execute(
        _sql.add, letter.kind, letter.language, sealed, letter.useful_for.total_seconds(), mark
    )
    await connection.execute(_sql.wake)


def opened(vault: Vault, sealed: bytes) -> tuple[str, dict[str, Any]]:
    """Open a letter: its recipient, and what it shows; raise `ConfigError` when no key opens it."""
    content = json.loads(vault.open(sealed))
    return content["recipient"], content["shown"]


async def claim(connection: Connection, *, limit: int, lease_seconds: float) -> list[Row]:
    """Borrow letters that are due, for the time of a lease; those no longer of use are given up."""
    await connection.execute(_sql.give_up)
    return await connection.fetch(_sql.claim, limit, lease_seconds)


async def settle(connection: Connection, letter: Row, outcome: str, again_at: datetime | None) -> None:
    """Note what became of a claimed letter, and when to try again; without that, it is forgotten."""
    await connection.execute(_sql.settle, letter["id"], letter["attempts"], outcome, again_at)


async def forget(connection: Connection, mailboxes: Sequence[bytes]) -> None:
    """Take back what waits for these mailboxes, given by their fingerprints, and what it says."""
    await connection.execute(_sql.forget, mailboxes)
