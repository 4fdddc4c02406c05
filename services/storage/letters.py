"""Letters: mails to one person that are about no event, such as a link to sign in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from services.runtime.database import Connection
from services.runtime.vault import Vault
from services.storage import queries

_sql = queries.load(__file__)


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
    await connection.execute(
        _sql.add, letter.kind, letter.language, sealed, letter.useful_for.total_seconds()
    )
    await connection.execute(_sql.wake)
