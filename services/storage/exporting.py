"""Reads all that is held, to be given away: of everybody for a file, of one subscriber for themselves."""

from typing import Any
from uuid import UUID

import asyncpg

from services.runtime.database import Connection
from services.storage import people, queries, subscriptions

_sql = queries.load(__file__)
Row = asyncpg.Record


async def lines(connection: Connection) -> list[Row]:
    """List the subscribers by slug, once for each active target that they have, or once without any."""
    return await connection.fetch(_sql.lines)


async def left_out(connection: Connection) -> int:
    """Count the subscriptions that `lines` leaves out: not active, or a second one for a target."""
    count: int = await connection.fetchval(_sql.left_out)
    return count


async def everything(connection: Connection, subscriber_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Read all that is held of a subscriber (GDPR articles 15 and 20), but no secrets.

    Needs a transaction that sees one moment.
    """
    attempts = _by_delivery(await connection.fetch(_sql.attempts, subscriber_id))
    receipts = _by_delivery(await connection.fetch(_sql.receipts, subscriber_id))
    deliveries = [
        {**row, "tries": attempts.get(row["id"], []), "receipts": receipts.get(row["id"], [])}
        for row in await connection.fetch(_sql.deliveries, subscriber_id)
    ]
    return {
        "people": [dict(row) for row in await people.of_subscriber(connection, subscriber_id)],
        "subscriptions": [dict(row) for row in await subscriptions.of_subscriber(connection, subscriber_id)],
        "deliveries": deliveries,
        "passings": [dict(row) for row in await connection.fetch(_sql.passings, subscriber_id)],
        "probes": [dict(row) for row in await connection.fetch(_sql.probes, subscriber_id)],
        "confirmations": [dict(row) for row in await connection.fetch(_sql.confirmations, subscriber_id)],
    }


def _by_delivery(rows: list[Row]) -> dict[UUID, list[dict[str, Any]]]:
    found: dict[UUID, list[dict[str, Any]]] = {}
    for row in rows:
        fields = dict(row)
        found.setdefault(fields.pop("delivery_id"), []).append(fields)
    return found
