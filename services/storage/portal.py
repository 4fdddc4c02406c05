"""What the portal reads: everything of one subscriber, and nothing of another.

Every question names the subscriber, so that an id that is somebody else's finds nothing.
"""

from uuid import UUID

import asyncpg

from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)
Row = asyncpg.Record


async def lately(
    connection: Connection,
    subscriber_id: UUID,
    *,
    before: UUID | None = None,
    subscription_id: UUID | None = None,
    limit: int,
) -> list[Row]:
    """List what a subscriber was owed, newest first; of what was sent once more, the latest."""
    return await connection.fetch(_sql.lately, subscriber_id, before, subscription_id, limit)


async def subscriptions(connection: Connection, subscriber_id: UUID) -> list[Row]:
    """List a subscriber's subscriptions, the live ones first."""
    return await connection.fetch(_sql.subscriptions, subscriber_id, None)


async def subscription(connection: Connection, subscriber_id: UUID, subscription_id: UUID) -> Row | None:
    """Find a subscription of this subscriber, if only an ended one."""
    return await connection.fetchrow(_sql.subscriptions, subscriber_id, subscription_id)


async def delivery(connection: Connection, subscriber_id: UUID, delivery_id: UUID) -> Row | None:
    """Find a delivery of this subscriber, with its event."""
    return await connection.fetchrow(_sql.delivery, subscriber_id, delivery_id)


async def secrets(connection: Connection, subscription_id: UUID) -> list[Row]:
    """List the secrets that a webhook signs with, newest first: their kind and time, not the secrets."""
    return await connection.fetch(_sql.secrets, subscription_id)


async def feed_token(connection: Connection, subscriber_id: UUID) -> Row | None:
    """Find the token of a subscriber's feeds, sealed; None when there is none."""
    return await connection.fetchrow(_sql.feed_token, subscriber_id)


async def by_token(connection: Connection, token_hash: bytes) -> Row | None:
    """Find a subscription by the hash of the token in its messages."""
    return await connection.fetchrow(_sql.by_token, token_hash)
