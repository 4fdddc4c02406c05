"""Whether the database is there, and new enough."""

from collections.abc import Sequence

from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.web.app import Readiness
from services.storage.migrate import SchemaTooOld, check


def database_readiness(pool: Pool) -> Readiness:
    """Make the check behind `/readyz`: it names what is missing."""

    async def missing() -> Sequence[str]:
        try:
            async with pool.acquire(timeout=5) as connection:
                await check(connection)
        except UNAVAILABLE as error:
            return [f"database: {type(error).__name__}"]
        except SchemaTooOld as error:
            return [str(error)]
        return []

    return missing
