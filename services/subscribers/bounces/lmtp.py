"""Takes messages that came back from the mail server beside us (LMTP, RFC 2033).

Rules:
1. Every recipient is accepted; what is about no delivery of ours is dropped without a word.
2. One recipient a message, as every bounce has: so one answer after DATA is the right number.
3. What cannot be kept now is answered 451: the mail server keeps it, and tries again.
"""

import asyncio
import logging
from typing import Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope, Session

from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.settings import PREFIX, ConfigError, Settings
from services.subscribers.bounces.intake import LARGEST, Intake

log = logging.getLogger(__name__)
_MOST_CONNECTIONS = 50
_IDLE_SECONDS = 60.0
_LATER = "451 4.3.0 Cannot be kept just now; try again"


async def run_lmtp(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    """Listen where LMTP_LISTEN says until `stop`; return at once where it says nothing.

    Raises `ConfigError` when it cannot be listened on.
    """
    if settings.lmtp_address is None:
        return
    host, port = settings.lmtp_address
    handler, loop = _Handler(Intake(pool)), asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: _Connection(handler, loop), host, port)
    except OSError as error:
        reason = error.strerror or "it cannot be used"
        raise ConfigError(f"{PREFIX}LMTP_LISTEN cannot be listened on ({reason})") from None
    log.info("bounces are taken in by LMTP on port %d", port)
    try:
        await stop.wait()
    finally:
        server.close()
        handler.hang_up()


class _Handler:
    """Answers the commands of all connections."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.connections: set[_Connection] = set()

    async def handle_RCPT(  # aiosmtpd looks for these names
        self, server: LMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept the first recipient; the mail server brings the others in a message of their own."""
        if envelope.rcpt_tos:
            return "452 4.5.3 One recipient a message"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: LMTP, session: Session, envelope: Envelope) -> str:
        """Take a message in."""
        try:
            await self._intake.take(envelope.original_content or b"", envelope.rcpt_tos[0])
        except UNAVAILABLE as error:
            log.warning("bounces wait for the database: %s", type(error).__name__)
            return _LATER
        return "250 2.0.0 OK"

    async def handle_exception(self, error: Exception) -> str:
        """Have it brought again; the error itself may hold what was read."""
        log.error("a bounce could not be taken in: %s", type(error).__name__)
        return _LATER

    def hang_up(self) -> None:
        """Cut what is open; what was not answered is brought again."""
        for connection in list(self.connections):
            connection.cut()


class _Connection(LMTP):
    #: Longer than RFC 5321 allows: a returned mail may have such lines, and refusing it would lose it.
    line_length_limit = 64 * 1024

    def __init__(self, handler: _Handler, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            handler,
            data_size_limit=LARGEST,
            enable_SMTPUTF8=True,
            hostname="omroeper",
            ident="Omroeper",
            timeout=_IDLE_SECONDS,
            loop=loop,
        )
        self._handler = handler

    def connection_made(self, transport: Any) -> None:
        """Serve it, unless there are too many already."""
        if len(self._handler.connections) >= _MOST_CONNECTIONS:
            transport.abort()
            return
        self._handler.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        if self in self._handler.connections:
            self._handler.connections.discard(self)
            super().connection_lost(error)

    def cut(self) -> None:
        """End it without a word."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
