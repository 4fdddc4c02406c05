"""Serves an HTTP application until told to stop."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from services.runtime.settings import ConfigError, Settings

_GRACE_SECONDS = 3


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process that runs us: it stops all its parts in order."""
        yield


def listen_on(settings: Settings) -> socket.socket:
    """Take the port before anything else is started; raise `ConfigError` when it is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # the protocol named, else asyncio does not know it for TCP, and leaves small answers to Nagle
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"port {settings.port} on {settings.host} cannot be listened on ({error.strerror}); "
            "choose another with --port or OMROEPER_PORT"
        ) from None
    return listening


async def serve(app: FastAPI, listening: socket.socket, stop: asyncio.Event) -> None:
    """Serve until `stop`, then finish the requests that are being answered."""
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            h11_max_incomplete_event_size=64 * 1024,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving
