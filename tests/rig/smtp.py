"""A real SMTP server on the test's loop, that answers as it is told."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.rig.process import free_port
from tests.rig.waiting import until

#: An answer that is none: the connection is dropped instead.
DROP = "drop"

Answer = Callable[[Envelope], str | Awaitable[str]]
RecipientAnswer = Callable[[str], str]


@dataclass(frozen=True)
class Mail:
    """One mail that was accepted, as it came over the wire."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The mail, parsed."""
        return message_from_bytes(self.raw, policy=policy.default)


class _Connection(SMTP):
    def __init__(self, handler: "SmtpServer", **options: Any) -> None:
        self._open = handler.connections
        super().__init__(handler, **options)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self)
        super().connection_lost(error)


class SmtpServer:
    """Keeps what it accepts in `mails`; `answer` decides after DATA, `answer_recipient` after RCPT.

    An answer starts with its code; one that is not 2xx refuses the mail. It may be awaited (for delays).
    """

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.answer: Answer = lambda envelope: "250 OK"
        self.answer_recipient: RecipientAnswer = lambda address: "250 OK"
        self.connections: set[_Connection] = set()
        self._port = free_port()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """For the setting SMTP_URL; the same after every start."""
        return f"smtp://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self, hostname="mx.example", enable_SMTPUTF8=True),
            "127.0.0.1",
            self._port,
        )

    async def stop(self) -> None:
        """Refuse connections, and cut those that are open."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self.connections):
            _drop(connection)
        await until(lambda: not self.connections, what="the SMTP connections to end")
        await self._server.wait_closed()
        self._server = None

    async def wait_for(self, count: int, *, seconds: float = 20) -> list[Mail]:
        """Wait until so many mails were accepted, and return them all."""
        await until(lambda: len(self.mails) >= count, seconds=seconds, what=f"{count} mails")
        return list(self.mails)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        answer = self.answer_recipient(address)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take or refuse a mail."""
        given = self.answer(envelope)
        answer = await given if inspect.isawaitable(given) else given
        if answer == DROP:
            _drop(server)
        elif answer.startswith("2"):
            raw = envelope.original_content or b""
            self.mails.append(Mail(envelope.mail_from or "", tuple(envelope.rcpt_tos), raw))
        return answer


def _drop(connection: SMTP) -> None:
    if isinstance(connection.transport, asyncio.WriteTransport):
        connection.transport.abort()
