"""A TCP proxy in front of a server, that cuts or freezes its connections on command."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.rig.process import free_port
from tests.rig.waiting import until


class Proxy:
    """Forwards 127.0.0.1:`port` to a (host, port) or to a unix socket."""

    def __init__(self, target: tuple[str, int] | Path) -> None:
        self.port = free_port()
        self._target = target
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._pipes: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where clients connect, as `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._pipes)

    async def heal(self) -> None:
        """Let everything through (again)."""
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def freeze(self) -> None:
        """Let nothing through, and keep all connections: the network swallows every byte."""
        self._flowing.clear()

    async def cut(self) -> None:
        """Close all connections, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for pipe in self._pipes:
            pipe.cancel()
        await until(lambda: not self._pipes, what="the proxy's connections to end")

    async def __aenter__(self) -> Self:
        await self.heal()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = asyncio.create_task(self._forward(reader, writer))
        self._pipes.add(pipe)
        pipe.add_done_callback(self._pipes.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            await self._flowing.wait()
            far_reader, far_writer = await self._connect()
            writers.append(far_writer)
            ways = [self._copy(reader, far_writer), self._copy(far_reader, writer)]
            tasks = [asyncio.create_task(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # cut, or nobody behind us: the client sees its connection end
        finally:
            for end in writers:
                end.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(str(self._target))
        return await asyncio.open_connection(*self._target)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65_536):
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
