"""What one event to very many subscriptions costs: planning time, and the dispatcher's memory meanwhile."""

import asyncio
from dataclasses import dataclass

from scripts.bench import seed
from scripts.bench.latency import services
from scripts.bench.parts import Parts, helper, resident_mb
from services.runtime.database import Pool, open_pool

_HOSTS = 100
_EVERY_SECONDS = 0.25


@dataclass(frozen=True)
class Memory:
    """Resident memory in MB: before, at most, and its growth over the second half of the sending."""

    before: float
    most: float
    growth: float
    planning_seconds: float
    per_second: float
    subscriptions: int


async def fan_out(parts: Parts, *, subscriptions: int) -> Memory:
    """Publish one event to so many webhooks."""
    with helper("receiver", "--hosts", str(_HOSTS)) as (_, port):
        async with parts.database() as dsn, open_pool(dsn, size=1) as pool:
            urls = [f"http://127.0.0.{n % _HOSTS + 2}:{port}/w/{n}" for n in range(subscriptions)]
            await seed.subscribe(dsn, "webhook", urls)
            async with services(parts, dsn, port) as running:
                before = await _settled(running.dispatcher_pid)
                await running.load.publish_one()
                planning = await _planning(pool)
                samples = asyncio.create_task(_sample(running.dispatcher_pid))
                seconds = await seed.until_sent(pool, subscriptions)
                samples.cancel()
                (taken,) = await asyncio.gather(samples)
    half = taken[len(taken) // 2 :]
    return Memory(before, max(taken), half[-1] - half[0], planning, subscriptions / seconds, subscriptions)


async def _settled(pid: int) -> float:
    """Wait until a process has loaded all it needs, and tell its memory."""
    last = 0.0
    while (now := resident_mb(pid)) > last + 0.5 or now < 50:
        last = now
        await asyncio.sleep(1.5)
    return now


async def _planning(pool: Pool) -> float:
    async with asyncio.timeout(120):
        while (seconds := await seed.planned_in(pool)) is None:
            await asyncio.sleep(0.2)
    return seconds


async def _sample(pid: int) -> list[float]:
    taken = []
    try:
        while True:
            taken.append(resident_mb(pid))
            await asyncio.sleep(_EVERY_SECONDS)
    except asyncio.CancelledError:
        return taken
