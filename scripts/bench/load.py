"""Publishes events at a steady rate, and tells how long each took to reach its receivers."""

import asyncio
import json
import math
import time
from collections.abc import Mapping, Sequence
from uuid import uuid4

import aiohttp

from scripts.bench.parts import API_KEY
from scripts.bench.seed import opportunity

_PATIENCE_SECONDS = 60.0
#: At first, connections are opened and caches filled; that is not counted.
_WARM_UP_SECONDS = 2.0


class Load:
    """Publishes at `publisher` and asks the receiver on `receiver_port` (started with `--keep`) what came."""

    def __init__(self, session: aiohttp.ClientSession, publisher: str, receiver_port: int) -> None:
        self._session, self._publisher = session, publisher
        self._kept_url = f"http://127.0.0.2:{receiver_port}/kept"

    async def latencies(
        self, *, per_second: float, seconds: float, receivers: int, path: str = "/w"
    ) -> list[float]:
        """Publish, and return the ms from each request's start to each receipt under `path`.

        Raises TimeoutError when an event does not reach `receivers` of them within a minute.
        """
        await self._until_ready()
        warm = await self._publish(round(per_second * _WARM_UP_SECONDS), per_second)
        await self._receipts(warm, receivers, path)
        begun = await self._publish(round(per_second * seconds), per_second)
        receipts = await self._receipts(begun, receivers, path)
        return [(at - begun[key]) * 1000 for key, at in receipts]

    async def publish_one(self) -> None:
        """Publish one event; raises for any answer but 202."""
        await self._until_ready()
        await self._post(f"bench-{uuid4()}", {})

    async def _publish(self, count: int, per_second: float) -> Mapping[str, float]:
        """Publish events at their times, whether or not the ones before are answered."""
        begun: dict[str, float] = {}
        start = time.monotonic()
        async with asyncio.TaskGroup() as posts:
            for number in range(count):
                await asyncio.sleep(start + number / per_second - time.monotonic())
                posts.create_task(self._post(f"bench-{uuid4()}", begun))
        return begun

    async def _post(self, key: str, begun: dict[str, float]) -> None:
        body = json.dumps(opportunity(key)).encode()
        headers = {"authorization": f"Bearer {API_KEY}", "content-type": "application/json"}
        begun[key] = time.monotonic()
        async with self._session.post(f"{self._publisher}/v1/events", data=body, headers=headers) as answer:
            answer.raise_for_status()

    async def _receipts(
        self, keys: Mapping[str, float], receivers: int, path: str
    ) -> list[tuple[str, float]]:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                async with self._session.get(self._kept_url) as answer:
                    kept = await answer.json()
                found = {(key, where): at for where, key, at in reversed(kept) if where.startswith(path)}
                ours = [(key, at) for (key, _), at in found.items() if key in keys]
                if len(ours) >= len(keys) * receivers:
                    return ours
                await asyncio.sleep(0.5)

    async def _until_ready(self) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await self._is_ready():
                await asyncio.sleep(0.2)

    async def _is_ready(self) -> bool:
        try:
            async with self._session.get(f"{self._publisher}/readyz") as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that at least this share of all does not exceed.

    >>> percentile([4, 1, 3, 2], 0.5)
    2
    """
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
