"""Wakes workers when the database says that there is something to do.

A notification may be missed (the connection is made anew after an outage), so whoever listens also
polls slowly, and is woken once at every reconnection.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import asyncpg

from services.runtime.database import UNAVAILABLE
from services.runtime.waiting import until

log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0


async def listen(dsn: str, channel: str, wake: Callable[[], None], stop: asyncio.Event) -> None:
    """Call `wake` at each notification on `channel` until `stop`; reconnects by itself."""
    while not stop.is_set():
        try:
            await _listen_once(dsn, channel, wake, stop)
        except UNAVAILABLE as error:
            log.info("not listening on %s: %s", channel, type(error).__name__)
            await until(stop, _RETRY_SECONDS)


async def _listen_once(dsn: str, channel: str, wake: Callable[[], None], stop: asyncio.Event) -> None:
    connection = await asyncpg.connect(dsn, timeout=10)
    gone = asyncio.Event()
    try:
        connection.add_termination_listener(lambda *_: gone.set())
        await connection.add_listener(channel, lambda *_: wake())
        wake()
        await _first(gone, stop)
    finally:
        with suppress(*UNAVAILABLE):
            await connection.close(timeout=2)


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
