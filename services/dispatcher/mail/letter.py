"""A letter: a mail to one person that is about no event, as text and as HTML."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import Any
from uuid import UUID

from services.dispatcher.mail.composer import mailable, read_sender
from services.dispatcher.mail.dkim_signer import signer_from
from services.dispatcher.mail.templates import Templates
from services.runtime.clock import utc_now
from services.runtime.settings import Settings

#: Long headers stay on one line, or Python wraps addresses in encoded words (RFC 5322 allows 998).
_POLICY = SMTP.clone(max_line_length=998)


@dataclass(frozen=True, slots=True)
class Written:
    """A letter ready to be handed in."""

    sender: str
    recipient: str = field(repr=False)
    subject: str
    raw: bytes = field(repr=False)


class Writer:
    """Writes letters, signed as the mails are; raises `ConfigError` when the settings cannot work."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock, self._sender = clock, read_sender(settings)
        self._templates = Templates(settings.templates_dir)
        self._signer = signer_from(settings)

    def write(
        self, letter_id: UUID, kind: str, language: str, recipient: str, shown: Mapping[str, Any]
    ) -> Written:
        """Write a letter; raise `BadAddress` or `BadTemplate`. The same id gives the same Message-ID.

        With DKIM it takes a millisecond or two of the processor.
        """
        language = self._templates.language(language)
        ours = {"sender": self._sender.name or self._sender.address, "public_url": self._sender.public_url}
        rendered = self._templates.letter(kind, language, {**shown, **ours})
        message = EmailMessage(policy=_POLICY)
        message["From"] = formataddr((self._sender.name, self._sender.address))
        message["To"] = mailable(recipient)
        message["Subject"] = rendered.subject
        message["Date"] = format_datetime(self._clock())
        message["Message-ID"] = f"<{letter_id.hex}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(rendered.text, cte="quoted-printable")
        message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
        message["Content-Language"] = language  # what is set before the content is taken for its own
        raw = message.as_bytes()
        signed = self._signer.sign(raw) if self._signer else raw
        return Written(self._sender.address, recipient, rendered.subject, signed)
