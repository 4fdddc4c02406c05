"""Fills a database for a measurement: a subscriber with many subscriptions, and events owed at once."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import asyncpg

from services.domain.event import bare_event
from services.domain.signing import symmetric_secret
from services.domain.subscriber import destination_of
from services.runtime.database import Connection, Pool, open_pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault, new_token, token_hash
from services.storage import events, planning, queries
from tests.rig import samples

SECRET_KEY = "bench-secret-key"
_sql = queries.load(__file__)


def opportunity(identity: str) -> dict[str, Any]:
    """Write an opportunity that makes a webhook of about 1.5 kB."""
    text = "De stad zoekt sensoren die meten hoe druk het is aan de kade, dag en nacht. " * 10
    return samples.opportunity(id=identity, description={"nl": text})


async def subscribe(dsn: str, channel: str, targets: Sequence[str], themes: Sequence[str] = ()) -> None:
    """Add subscriptions that match every `opportunity`, or none when `themes` are given."""
    vault = Vault(Settings(secret_key=SECRET_KEY))
    tokens = [new_token() for _ in targets]
    async with open_pool(dsn, size=1) as pool, pool.acquire() as connection:
        known = await connection.fetchval(_sql.known)
        await connection.execute(
            _sql.subscriptions,
            known or await connection.fetchval(_sql.subscriber),
            channel,
            targets,
            [destination_of(channel, target) for target in targets],
            [token_hash(token) for token in tokens],
            [vault.seal(token) for token in tokens],
            vault.seal(symmetric_secret(b"0123456789abcdef0123456789abcdef")),
            themes,
        )
        await analyze(connection)


async def analyze(connection: Connection) -> None:
    """Have the statistics taken, as those of a server that has been up for a while."""
    await connection.execute(_sql.analyze)


async def owe(dsn: str, count: int) -> int:
    """Accept and plan so many events, as a planner does; return how many deliveries are owed."""
    batch = [bare_event(opportunity(str(uuid4())), source=samples.SOURCE) for _ in range(count)]
    async with open_pool(dsn, size=1) as pool, pool.acquire() as connection, connection.transaction():
        accepted = await events.accept(connection, batch, accepted_by="kafka", relay=False)
        return await planning.plan(connection, [known.id for known in accepted])


async def until_sent(pool: Pool, owed: int, seconds: float = 300) -> float:
    """Wait until nothing is owed; return the seconds the last `owed` took, first attempt to last record.

    Raises RuntimeError when one of them was not sent, TimeoutError when it takes too long.
    """
    async with asyncio.timeout(seconds):
        while await pool.fetchval(_sql.unsent):
            await asyncio.sleep(0.2)
    sent, took = await pool.fetchrow(_sql.span, owed) or (0, 0.0)
    if sent < owed:
        raise RuntimeError(f"only {sent} of {owed} deliveries were sent")
    return float(took)


async def planned_in(pool: Pool) -> float | None:
    """Tell how long the last event took from accepted to planned, in seconds; None until it is."""
    seconds: float | None = await pool.fetchval(_sql.planning)
    return seconds


async def server(dsn: str) -> str:
    """Say which server it is, and how it keeps what is committed."""
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.fetchval(_sql.server))
    finally:
        await connection.close()
