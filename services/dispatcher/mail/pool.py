"""Keeps connections to the mail relay, a few, and gives each mail one of them.

Rules:
1. There are never more than `size`; a mail waits for its turn.
2. A connection is used again, up to a number of mails, and not after lying idle for long.
3. A kept connection that the relay has given up is replaced once, and only before the relay was
   handed the mail; after that nobody knows, and the caller decides.
4. A connection in doubt (cut off, timed out, cancelled) is closed, never kept.
"""

import asyncio
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from services.dispatcher.mail.composer import read_sender
from services.runtime.settings import PREFIX, ConfigError, Settings

_QUIT_SECONDS = 2.0
_CLOSING = 421
_STARTTLS = {"required": True, "offered": None, "never": False}


class TlsFailed(SMTPException):
    """The connection could not be made secret: not offered, refused, or a certificate not trusted."""


@dataclass(frozen=True, slots=True)
class Relay:
    """Where mails are handed in. `starttls`: None is when offered, True is always."""

    host: str
    port: int
    tls: bool = False
    starttls: bool | None = None
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "Relay":
        """Read `smtp://[user:password@]host[:port]` or `smtps://…`; raise `ConfigError`.

        `smtp://` takes `?starttls=required`, `never` or, unless said, `offered`.
        """
        try:
            parts = urlsplit(url)
            port, options = parts.port, parse_qs(parts.query, strict_parsing=bool(parts.query))
            if parts.scheme not in ("smtp", "smtps") or not parts.hostname or set(options) - {"starttls"}:
                raise ValueError
            starttls = _STARTTLS[options.get("starttls", ["offered"])[0]]
        except (ValueError, KeyError):
            raise ConfigError(
                f"{PREFIX}SMTP_URL must be like smtp://user:password@host:587?starttls=required, or smtps://…"
            ) from None
        tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname,
            port=port or (465 if tls else 25),
            tls=tls,
            starttls=False if tls else starttls,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    @property
    def verified(self) -> bool:
        """Whether the relay's certificate must be trusted.

        Encryption that is only taken when offered could be stripped anyway, so there an unknown
        certificate is better than none (RFC 7435); a password is given to a known relay only.
        """
        return self.tls or self.starttls is True or self.username is not None


class _Line(SMTP):
    """A connection that knows how far it came."""

    mails = 0
    idle_since = 0.0
    handed_over = False

    async def data(self, message: str | bytes, /, **options: Any) -> SMTPResponse:
        """Note that from here on the relay may have the mail."""
        self.handed_over = True
        return await super().data(message, **options)


class Pool:
    """Hands in mails at the relay, `size` at a time. Connects when there is a mail, not before."""

    def __init__(
        self,
        relay: Relay,
        *,
        size: int,
        timeout_seconds: float,
        local_hostname: str,
        idle_seconds: float = 60.0,
        mails_per_connection: int = 100,
    ) -> None:
        self._relay, self._timeout, self._local_hostname = relay, timeout_seconds, local_hostname
        self._idle_seconds, self._most = idle_seconds, mails_per_connection
        self._slots = asyncio.Semaphore(size)
        self._idle: list[_Line] = []
        self._closed = False

    async def send(self, sender: str, recipient: str, raw: bytes) -> str:
        """Hand in one mail for one receiver and tell the relay's answer.

        Raises what aiosmtplib raises, `TlsFailed`, and OSError.
        """
        async with self._slots:
            line = await self._kept()
            if line is not None:
                try:
                    return await self._hand_in(line, sender, recipient, raw)
                except SMTPException as error:
                    if line.handed_over or not _given_up(error):
                        raise
            return await self._hand_in(await self._connect(), sender, recipient, raw)

    async def try_out(self) -> None:
        """Connect and log in, and leave again. Raises as `send`."""
        await _quit(await self._connect())

    async def close(self) -> None:
        """Say goodbye on the kept connections; those in use are closed when their mail is done."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(_quit(line) for line in idle))

    async def _kept(self) -> _Line | None:
        """Take the connection used last; those too old or used up are closed."""
        while self._idle:
            line = self._idle.pop()
            fresh = time.monotonic() - line.idle_since < self._idle_seconds
            if line.is_connected and fresh and line.mails < self._most:
                return line
            await _quit(line)
        return None

    async def _connect(self) -> _Line:
        relay = self._relay
        line = _Line(
            hostname=relay.host,
            port=relay.port,
            use_tls=relay.tls,
            start_tls=relay.starttls,
            validate_certs=relay.verified,
            local_hostname=self._local_hostname,
            timeout=self._timeout,
        )
        try:
            await _connected(line)
            if relay.username is not None:
                await line.login(relay.username, relay.password or "")
        except BaseException:
            line.close()
            raise
        return line

    async def _hand_in(self, line: _Line, sender: str, recipient: str, raw: bytes) -> str:
        line.handed_over, in_step = False, False
        try:
            _, answer = await line.sendmail(sender, [recipient], raw)
            in_step = True
            return answer
        except SMTPRecipientsRefused:
            in_step = True
            raise
        except SMTPResponseException as error:
            in_step = error.code >= 400
            raise
        finally:
            self._put_back(line, in_step)

    def _put_back(self, line: _Line, in_step: bool) -> None:
        """Keep or close a connection, without waiting: the mail's outcome is known and must get home."""
        if not in_step or self._closed:
            line.close()
        elif line.is_connected:
            line.mails, line.idle_since = line.mails + 1, time.monotonic()
            self._idle.append(line)


def pool_of(settings: Settings) -> Pool:
    """Make the pool that the settings ask for; raise `ConfigError`."""
    settings.need("smtp_url")
    return Pool(
        Relay.parse(settings.smtp_url),
        size=settings.smtp_connections,
        timeout_seconds=settings.email_timeout_seconds,
        local_hostname=read_sender(settings).domain,
    )


async def _connected(line: _Line) -> None:
    """Connect and make it secret; whatever goes wrong with the latter is `TlsFailed`."""
    try:
        await line.connect()
    except ssl.SSLError as error:
        raise TlsFailed("the handshake failed") from error
    except SMTPConnectError as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise TlsFailed("the handshake failed") from error
        raise
    except SMTPException as error:
        # without a login in connect(), only STARTTLS raises these two themselves, not a subclass
        if type(error) in (SMTPException, SMTPResponseException):
            raise TlsFailed("STARTTLS was not offered, or refused") from error
        raise


def _given_up(error: SMTPException) -> bool:
    """Tell whether the relay had given up the connection while it lay idle."""
    closing = isinstance(error, SMTPResponseException) and error.code == _CLOSING
    return closing or isinstance(error, SMTPServerDisconnected)


async def _quit(line: _Line) -> None:
    try:
        with suppress(SMTPException, OSError):
            async with asyncio.timeout(_QUIT_SECONDS):
                await line.quit()
    finally:
        line.close()
