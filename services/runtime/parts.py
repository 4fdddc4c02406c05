"""Runs the parts of a process together, and stops them together."""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 7.0


async def run_together(stop: asyncio.Event, *parts: Coroutine[Any, Any, None]) -> None:
    """Run parts until `stop` has ended them; the first that fails stops the others, and is raised.

    A part that has not ended some seconds after `stop` is cancelled: it waits for a server that is away.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await _until_stopped(tasks, stop)
    finally:
        stop.set()
        await asyncio.wait(tasks, timeout=_PATIENCE_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error


async def _until_stopped(tasks: "list[asyncio.Task[None]]", stop: asyncio.Event) -> None:
    """Wait until `stop`, a failure, or the end of all."""
    stopping = asyncio.create_task(stop.wait())
    running = set(tasks)
    while running and not stop.is_set():
        done, _ = await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        running -= done
        if any(task in tasks and (task.cancelled() or task.exception()) for task in done):
            break
    stopping.cancel()


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` at SIGINT or SIGTERM; a second one of either ends the process at once."""
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            raise SystemExit(1)
        log.info("stopping")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
