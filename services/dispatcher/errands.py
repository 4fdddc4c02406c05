"""Runs small jobs that wait in a table, a few at a time: claimed, done outside any transaction, settled.

What is cut off by our own end is due again when its lease is over.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from services.runtime.database import UNAVAILABLE
from services.runtime.waiting import until

log = logging.getLogger(__name__)
_GRACE_SECONDS = 4.0
Row = asyncpg.Record


class Errands:
    """Claims up to as many jobs as there are free slots, and does each by itself."""

    def __init__(
        self,
        name: str,
        *,
        claim: Callable[[int], Awaitable[Sequence[Row]]],
        do: Callable[[Row], Awaitable[None]],
        slots: int,
        poll_seconds: float,
    ) -> None:
        self._name, self._claim, self._do = name, claim, do
        self._slots, self._poll_seconds = slots, poll_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Say that something new may be due."""
        self._news.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then finish what is quick."""
        ending = asyncio.create_task(self._wake_at(stop))
        try:
            while not stop.is_set():
                self._news.clear()
                await self._start_due()
                await until(self._news, self._poll_seconds)
        finally:
            ending.cancel()
            await self._finish()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._news.set()

    async def _start_due(self) -> None:
        free = self._slots - len(self._tasks)
        if free <= 0:
            return
        try:
            for row in await self._claim(free):
                task = asyncio.create_task(self._one(row))
                self._tasks.add(task)
                task.add_done_callback(self._done)
        except UNAVAILABLE as error:
            log.info("%s wait for the database: %s", self._name, type(error).__name__)

    async def _one(self, row: Row) -> None:
        try:
            await self._do(row)
        except UNAVAILABLE as error:
            log.info("%s: outcome of %s not kept: %s", self._name, row["id"], type(error).__name__)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._news.set()  # there is room, and perhaps more to do
        if not task.cancelled() and (bug := task.exception()):
            log.error("%s: one failed unexpectedly", self._name, exc_info=bug)

    async def _finish(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GRACE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
