"""A receiver of webhooks that costs as little as it can; run by `python -m scripts.bench.receiver`.

It listens on `--hosts` addresses from 127.0.0.2 on, all at one port, and says which port on its first
line. What is posted under `/hang` is never answered. `GET /count` tells how many posts came; with
`--keep`, `GET /kept` tells of each its path, the opportunity's id and when it came (monotonic seconds).
"""

import argparse
import asyncio
import json
import re
import time
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb'"data":\{"id":"([^"]+)"')
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Seen:
    """What came in so far."""

    def __init__(self, *, keep: bool) -> None:
        self.count = 0
        self.keep = keep
        self.kept: list[tuple[str, str, float]] = []

    def note(self, path: str, body: bytes) -> None:
        """Count a post, and keep it if asked to."""
        self.count += 1
        if self.keep:
            key = _KEY.search(body)
            self.kept.append((path, key[1].decode() if key else "", time.monotonic()))

    def told(self, path: str) -> bytes:
        """Answer the questions of whoever measures."""
        return json.dumps(self.kept if path == "/kept" else self.count).encode()


class Connection(asyncio.Protocol):
    """One connection, kept alive; requests are answered in order."""

    def __init__(self, seen: Seen) -> None:
        self._seen, self._buffer = seen, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer = self._buffer + data if self._buffer else data
        while (end := self._buffer.find(b"\r\n\r\n") + 4) >= 4:
            length = _LENGTH.search(self._buffer, 0, end)
            whole = end + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            self._answer(self._buffer[:whole], end)
            self._buffer = self._buffer[whole:]

    def _answer(self, request: bytes, end: int) -> None:
        method, path = request.split(b" ", 2)[:2]
        if method == b"GET":
            body = self._seen.told(path.decode())
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)
            return
        self._seen.note(path.decode(), request[end:])
        if not path.startswith(b"/hang"):
            self._transport.write(_ANSWER)


async def _serve(hosts: int, *, keep: bool) -> None:
    seen, loop = Seen(keep=keep), asyncio.get_running_loop()
    port = 0
    for number in range(hosts):
        server = await loop.create_server(
            lambda: Connection(seen), f"127.0.0.{number + 2}", port, backlog=4096
        )
        port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args()
    uvloop.run(_serve(asked.hosts, keep=asked.keep))


if __name__ == "__main__":
    main()
