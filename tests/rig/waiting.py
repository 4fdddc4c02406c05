"""Waits for something to become true; the only place in the tests that sleeps."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_POLL_SECONDS = 0.02


async def until(
    condition: Callable[[], T | Awaitable[T]], *, seconds: float = 20, what: str = "the condition"
) -> T:
    """Poll until the condition gives something true, and return that; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        value: T = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        await asyncio.sleep(_POLL_SECONDS)


def wait_until(condition: Callable[[], T], *, seconds: float = 20, what: str = "the condition") -> T:
    """Poll as `until` does, where there is no event loop."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(_POLL_SECONDS)
