"""People: who may sign in for a subscriber, and is told when something needs them."""

from uuid import UUID

import asyncpg

from services.runtime.database import Connection
from services.storage import queries

_sql = queries.load(__file__)
Row = asyncpg.Record


async def add(
    connection: Connection, subscriber_id: UUID, name: str, email: str, language: str | None = None
) -> UUID | None:
    """Add a person; None when the subscriber has this address already. Case of addresses does not matter."""
    added: UUID | None = await connection.fetchval(_sql.add, subscriber_id, name, email.lower(), language)
    return added


async def of_subscriber(connection: Connection, subscriber_id: UUID) -> list[Row]:
    """List a subscriber's people, in the order in which they came."""
    return await connection.fetch(_sql.of_subscriber, subscriber_id)


async def lock(connection: Connection, subscriber_id: UUID) -> list[Row]:
    """Take hold of a subscriber's people, so that two of them do not remove each other."""
    return await connection.fetch(_sql.lock, subscriber_id)


async def remove(connection: Connection, subscriber_id: UUID, person_id: UUID) -> bool:
    """Remove a person; False when there is none of this subscriber."""
    return await connection.fetchval(_sql.remove, subscriber_id, person_id) is not None


async def who_may_sign_in(connection: Connection, email: str) -> list[Row]:
    """List the subscribers for whom this address may sign in: subscriber_id, slug, name, language."""
    return await connection.fetch(_sql.who_may_sign_in, email.lower())
