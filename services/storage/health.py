"""The health of endpoints: their circuit breakers, and the end of hopeless ones."""

from collections.abc import Sequence
from uuid import UUID

from services.domain.breaker import Health
from services.domain.delivery import State
from services.runtime.database import Connection
from services.storage import deliveries, queries

_sql = queries.load(__file__)


async def heal(connection: Connection, subscription_ids: Sequence[UUID]) -> None:
    """Close the breakers of endpoints that worked, and let go what was put off for them."""
    await connection.execute(_sql.heal, subscription_ids)


async def lock(connection: Connection, subscription_ids: Sequence[UUID]) -> dict[UUID, Health]:
    """Read the health of endpoints for a change, in id order; the healthy ones are left out."""
    rows = await connection.fetch(_sql.lock, sorted(subscription_ids))
    return {
        row["subscription_id"]: Health(
            row["failures"], row["failing_since"], row["openings"], row["open_until"]
        )
        for row in rows
    }


async def save(connection: Connection, subscription_id: UUID, health: Health) -> None:
    """Keep an endpoint's health."""
    await connection.execute(
        _sql.save, subscription_id, health.failures, health.failing_since, health.openings, health.open_until
    )


async def disable(connection: Connection, subscription_id: UUID, reason: str) -> bool:
    """Disable an endpoint, end what it is owed, have its owner told; False when it already was."""
    if await connection.fetchval(_sql.disable, subscription_id, reason) is None:
        return False
    await deliveries.stop_owed(connection, subscription_id, State.SUPPRESSED, reason)
    await connection.execute(_sql.forget, subscription_id)
    await connection.execute(_sql.notice, subscription_id, reason)
    return True
