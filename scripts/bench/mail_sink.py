"""A mail relay that takes all and keeps nothing; its own process (`python -m scripts.bench.mail_sink`).

Says its port on its first line, and after that, for every line it is given, how many mails it took.
"""

import asyncio
import sys
from typing import cast

import uvloop

_ANSWERS = {
    b"EHLO": b"250-sink.example\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


class Connection(asyncio.Protocol):
    """One SMTP session, as RFC 5321 has it, with nothing refused."""

    taken = 0

    def __init__(self) -> None:
        self._buffer, self._in_mail = b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer every line, and every mail, that is complete."""
        self._buffer += data
        while (end := self._buffer.find(self._until)) >= 0:
            line, self._buffer = self._buffer[:end], self._buffer[end + len(self._until) :]
            self._take_mail() if self._in_mail else self._answer(line)

    @property
    def _until(self) -> bytes:
        return b"\r\n.\r\n" if self._in_mail else b"\r\n"

    def _take_mail(self) -> None:
        Connection.taken += 1
        self._in_mail = False
        self._transport.write(b"250 taken\r\n")

    def _answer(self, line: bytes) -> None:
        verb = line[:4].upper()
        self._in_mail = verb == b"DATA"
        self._transport.write(_ANSWERS.get(verb, b"250 fine\r\n"))
        if verb == b"QUIT":
            self._transport.close()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(Connection.taken, flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
