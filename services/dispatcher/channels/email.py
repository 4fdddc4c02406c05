"""The email channel: a mail per delivery, handed in at the relay.

Rules:
1. What the receiver's side answers about the mail decides: 4xx is tried again, 5xx is final.
2. What is wrong between the relay and us (connection, TLS, login, our sender) is never the
   receiver's fault, so it is tried again whatever the code.
3. Cut off after the mail was handed over: it may have arrived; a later try has the same Message-ID.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPConnectTimeoutError,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPNotSupported,
    SMTPReadTimeoutError,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from services.dispatcher.mail.composer import BadAddress, Composer
from services.dispatcher.mail.dkim_signer import signer_from
from services.dispatcher.mail.pool import TlsFailed, pool_of
from services.dispatcher.mail.templates import BadTemplate
from services.dispatcher.message import Message
from services.domain.delivery import Outcome, Permanent, Sent, Temporary
from services.runtime.clock import utc_now
from services.runtime.settings import Settings

log = logging.getLogger(__name__)
_MINUTE = timedelta(seconds=60)
_TOO_LARGE = 552
#: Source: RFC 4954 section 6; these ask us to log in, or in another way.
_LOGIN_CODES = frozenset({530, 534, 535, 538})


def _relay(what: str) -> Callable[[Any], Outcome]:
    def outcome(error: Any) -> Outcome:
        message = getattr(error, "message", "")
        return Temporary(f"relay_{what}", code=getattr(error, "code", None), excerpt=_excerpt(message))

    return outcome


def _answered(error: SMTPResponseException) -> Outcome:
    code, excerpt = error.code, _excerpt(error.message)
    if code in _LOGIN_CODES:
        return Temporary("relay_login", code=code, excerpt=excerpt)
    if 400 <= code < 500:
        return Temporary(f"smtp_{code}", code=code, excerpt=excerpt)
    if 500 <= code < 600:
        return Permanent(f"smtp_{code}", code=code, excerpt=excerpt)
    return Temporary("relay_protocol", code=code, excerpt=excerpt)


def _about_our_sender(error: SMTPSenderRefused) -> Outcome:
    if error.code < 500 or error.code == _TOO_LARGE:
        return _answered(error)
    return _relay("sender")(error)


#: From the library's errors to outcomes: the first row that fits.
OUTCOMES: tuple[tuple[type[Exception], Callable[[Any], Outcome]], ...] = (
    (TlsFailed, _relay("tls")),
    (SMTPConnectTimeoutError, _relay("unreachable")),
    (SMTPConnectResponseError, _relay("refused")),
    (SMTPConnectError, _relay("unreachable")),
    (SMTPHeloError, _relay("refused")),
    (SMTPAuthenticationError, _relay("login")),
    (SMTPNotSupported, _relay("protocol")),
    (SMTPReadTimeoutError, lambda _: Temporary("timeout", at_least=_MINUTE)),
    (SMTPTimeoutError, lambda _: Temporary("timeout", at_least=_MINUTE)),
    (SMTPServerDisconnected, lambda _: Temporary("connection_lost", at_least=_MINUTE)),
    (SMTPSenderRefused, _about_our_sender),
    (SMTPRecipientRefused, _answered),
    (SMTPRecipientsRefused, lambda error: _answered(error.recipients[0])),
    (SMTPDataError, _answered),
    (SMTPResponseException, _answered),
    (SMTPException, _relay("protocol")),
    (OSError, _relay("unreachable")),
)


class Email:
    """Mails a delivery. Raises `ConfigError` when the settings cannot work."""

    name = "email"

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self._composer = Composer(settings, clock)
        self._signer = signer_from(settings)
        self._pool = pool_of(settings)

    async def send(self, message: Message) -> Outcome:
        """Compose, sign and hand in one mail."""
        try:
            mail = self._composer.compose(message)
        except BadAddress:
            return Permanent("bad_address")
        except BadTemplate as error:
            log.error("mail template failed: event %s, %s", message.announcement.id, error)
            return Permanent("template")
        raw = mail.raw if self._signer is None else await asyncio.to_thread(self._signer.sign, mail.raw)
        try:
            answer = await self._pool.send(mail.envelope_sender, mail.recipient, raw)
        except (SMTPException, OSError) as error:
            return outcome_of(error)
        return Sent(250, _excerpt(answer))

    async def close(self) -> None:
        """Close the connections to the relay."""
        await self._pool.close()


def outcome_of(error: Exception) -> Outcome:
    """Translate an error of the library by OUTCOMES."""
    return next(outcome(error) for kind, outcome in OUTCOMES if isinstance(error, kind))


def _excerpt(answer: str) -> str:
    """Make a relay's answer storable: its bytes need not have been UTF-8."""
    return answer.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
