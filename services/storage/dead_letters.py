"""Dead letters: records from Kafka that could not be read, whole, with the reason."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is not an event, and why not."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An unreadable record as kept; the headers' values are base64."""

    id: UUID
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[list[str | None]]
    reason: str
    received_at: datetime
    requeued_at: datetime | None

    def raw_headers(self) -> list[tuple[str, bytes | None]]:
        """The headers as they were on the record."""
        return [
            (str(name), None if value is None else base64.b64decode(value)) for name, value in self.headers
        ]


async def add(connection: Connection, records: Sequence[Unreadable]) -> None:
    """Keep unreadable records; the same one twice is kept once."""
    await connection.executemany(_sql.add, [_row(record) for record in records])


def _row(record: Unreadable) -> tuple[object, ...]:
    headers = [
        [_text(name), None if value is None else base64.b64encode(value).decode()]
        for name, value in record.headers
    ]
    digest = hashlib.sha256(record.value or b"").digest()
    place = (record.topic, record.partition, record.offset)
    return (*place, record.key, record.value, digest, headers, _text(record.reason)[:2000])


def _text(text: str) -> str:
    """Make text that Postgres holds."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


_FIELDS = [f.name for f in fields(DeadLetter)]


async def page(
    connection: Connection, *, after: UUID | None = None, limit: int = 100, requeued_too: bool = False
) -> list[DeadLetter]:
    """List dead letters, oldest first."""
    rows = await connection.fetch(_sql.list_page, after, limit, requeued_too)
    return [DeadLetter(*(row[name] for name in _FIELDS)) for row in rows]


async def get(connection: Connection, letter_id: UUID) -> DeadLetter | None:
    """Find one dead letter."""
    row = await connection.fetchrow(_sql.get, letter_id)
    return DeadLetter(*(row[name] for name in _FIELDS)) if row else None


async def mark_requeued(connection: Connection, letter_id: UUID) -> None:
    """Note that a dead letter was put on its topic again."""
    await connection.execute(_sql.mark_requeued, letter_id)
