"""Waits that end early."""

import asyncio
from contextlib import suppress


async def until(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, for at most so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
