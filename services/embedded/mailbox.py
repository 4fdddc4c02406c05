"""A mail catcher: takes every mail, keeps it as a file, sends nothing on."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from services.runtime.clock import utc_now

_NAME = re.compile(r"\d{8}T\d{12}-[0-9a-f]{16}")
_LARGEST = 10_000_000

#: Answers instead of taking a mail, such as `451 4.7.1 Later`; None takes it.
Moods = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Mail:
    """A caught mail."""

    name: str
    caught_at: datetime
    message: EmailMessage
    raw: bytes

    @property
    def html(self) -> str:
        """Its HTML part, or nothing."""
        return self._part("html")

    @property
    def text(self) -> str:
        """Its text part, or nothing."""
        return self._part("plain")

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return str(part.get_content()) if part else ""


class Mailbox:
    """Keeps mails in a folder, one `.eml` file each."""

    def __init__(self, folder: Path, moods: Moods = lambda _: None) -> None:
        folder.mkdir(exist_ok=True, mode=0o700)
        self._folder, self._moods = folder, moods

    async def handle_RCPT(  # aiosmtpd looks for this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or answer as its server would in this mood."""
        if answer := self._moods(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep a mail."""
        name = f"{utc_now():%Y%m%dT%H%M%S%f}-{secrets.token_hex(8)}"
        draft = self._folder / f"{name}.tmp"
        draft.write_bytes(cast(bytes, envelope.original_content))
        draft.replace(self._folder / f"{name}.eml")
        return f"250 2.0.0 OK caught as {name}"

    def newest(self, limit: int = 200) -> list[Mail]:
        """List the mails, newest first."""
        paths = sorted(self._folder.glob("*.eml"), key=lambda path: path.name, reverse=True)
        return [_read(path) for path in paths[:limit]]

    def count(self) -> int:
        """Count the mails kept."""
        return sum(1 for _ in self._folder.glob("*.eml"))

    def find(self, name: str) -> Mail | None:
        """Find a mail by its name."""
        path = self._folder / f"{name}.eml"
        return _read(path) if _NAME.fullmatch(name) and path.exists() else None


def _read(path: Path) -> Mail:
    raw = path.read_bytes()
    caught = datetime.strptime(path.name[:21], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    return Mail(path.stem, caught, BytesParser(policy=policy.default).parsebytes(raw), raw)


@asynccontextmanager
async def catch_mail(mailbox: Mailbox) -> AsyncIterator[str]:
    """Run the catcher on a free loopback port; give its SMTP URL."""
    loop = asyncio.get_running_loop()

    def session() -> Any:
        return SMTP(
            mailbox, hostname="catcher.example", data_size_limit=_LARGEST, ident="Omroeper", loop=loop
        )

    server = await loop.create_server(session, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"smtp://127.0.0.1:{port}"
    finally:
        server.close()
