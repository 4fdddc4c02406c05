"""Composes mails: once per event and language, then only what is personal is filled in.

Rules:
1. The Message-ID belongs to the delivery, so a repeated try is recognised as the same mail.
2. One click unsubscribes, without logging in (RFC 8058); the link says nothing of who clicks.
3. What ends up in a header or on the SMTP command line is checked before it gets there.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime, parseaddr
from functools import partial
from urllib.parse import quote
from uuid import UUID

from services.dispatcher.mail import digest, wire
from services.dispatcher.mail.digest import Reader
from services.dispatcher.mail.prepared import Prepared, Sender, finished, prepare
from services.dispatcher.mail.templates import Templates
from services.dispatcher.message import Mailing, Message
from services.domain.event import EventType
from services.domain.passing_on import Door
from services.domain.reason import explain, one_line
from services.domain.verp import envelope_sender
from services.runtime.clock import utc_now
from services.runtime.passing_links import passing_links
from services.runtime.settings import PREFIX, ConfigError, Settings

_KEPT = 64
_WHOLE = (EventType.PUBLISHED, EventType.UPDATED)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_DOMAIN.pattern}")
_LINK = re.compile(r"https?://[!#-;=?-\[\]-_a-z~]+")


class BadAddress(ValueError):
    """The receiver's address cannot be put on the wire; does not repeat it, for logs show this."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A mail ready to be sent: its envelope and its bytes."""

    envelope_sender: str
    recipient: str = field(repr=False)
    raw: bytes = field(repr=False)


class Composer:
    """Writes mails, and keeps the events it wrote last.

    Raises `ConfigError` for a MAIL_FROM, BOUNCE_DOMAIN, PUBLIC_URL or TEMPLATES_DIR to be mended.
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._sender = read_sender(settings)
        self._bounce_domain = settings.bounce_domain or self._sender.domain
        if not _DOMAIN.fullmatch(self._bounce_domain):
            raise ConfigError(f"{PREFIX}BOUNCE_DOMAIN is not a domain")
        self._passing_link = passing_links(settings, Door.MAIL)
        self._templates = Templates(settings.templates_dir)
        self._prepared: OrderedDict[tuple[UUID, str, UUID | None], Prepared] = OrderedDict()

    def compose(self, message: Message) -> Composed:
        """Write the mail of a delivery; raise `BadAddress` or `BadTemplate`.

        Two calls for one delivery give the same mail, but for its Date.
        """
        recipient = mailable(message.target)
        if message.mailing is not None:
            return self._compose_mailing(message, message.mailing, recipient)
        prepared = self._prepare(message)
        personal = {
            "subscriber": one_line(message.subscriber),
            "reason": explain(
                message.match, prepared.said, told_before=message.announcement.type not in _WHOLE
            ),
            "passed_on": self._passing_link(message.subscriber_id, message.announcement.id),
            "unsubscribe": self._unsubscribe(message.unsubscribe_token),
            "preferences": self._preferences(message.unsubscribe_token),
        }
        head = self._personal_head(message, personal["unsubscribe"])
        return Composed(self._envelope(message), recipient, head + prepared.head + prepared.filled(personal))

    def _compose_mailing(self, message: Message, mailing: Mailing, recipient: str) -> Composed:
        """Write a mail about several opportunities, for this receiver alone."""
        language = self._templates.language(message.language)
        said = self._templates.speech(language)
        unsubscribe = self._unsubscribe(message.unsubscribe_token)
        if mailing.kind == "reminder":
            # it is about whatever this address was told, by any of its subscriptions
            unsubscribe += "?all=1"
        personal = {
            "subscriber": one_line(message.subscriber),
            "unsubscribe": unsubscribe,
            "preferences": self._preferences(message.unsubscribe_token),
            "sender": self._sender.name or self._sender.address,
            "public_url": self._sender.public_url,
        }
        reader = Reader(language, said, partial(self._passing_link, message.subscriber_id))
        rendered = digest.render(mailing, reader, personal, templates=self._templates, now=self._clock())
        head = self._personal_head(message, unsubscribe)
        written = finished(rendered, said, language, message.delivery_id, self._sender)
        return Composed(self._envelope(message), recipient, head + written)

    def _envelope(self, message: Message) -> str:
        return envelope_sender(message.delivery_id.hex, self._bounce_domain)

    def _unsubscribe(self, token: str) -> str:
        return f"{self._sender.public_url}/u/{quote(token, safe='')}"

    def _preferences(self, token: str) -> str:
        return f"{self._unsubscribe(token)}/preferences"

    def _personal_head(self, message: Message, unsubscribe: str) -> bytes:
        return b"".join(
            (
                wire.header("Date", format_datetime(self._clock())),
                wire.header("Message-ID", f"<{message.delivery_id.hex}@{self._sender.domain}>"),
                wire.header("To", message.target),
                wire.header("List-Unsubscribe", f"<{unsubscribe}>"),
            )
        )

    def _prepare(self, message: Message) -> Prepared:
        """Prepare a mail once for all who read a language and had the same version before."""
        language = self._templates.language(message.language)
        key = (message.announcement.id, language, message.since.id if message.since else None)
        if key not in self._prepared:
            changes = None if message.since is None else message.changes
            self._prepared[key] = prepare(
                message.announcement, language, changes, templates=self._templates, sender=self._sender
            )
        self._prepared.move_to_end(key)
        while len(self._prepared) > _KEPT:
            self._prepared.popitem(last=False)
        return self._prepared[key]


def read_sender(settings: Settings) -> Sender:
    """Read MAIL_FROM and PUBLIC_URL; raise `ConfigError` when they cannot stand in a mail."""
    name, address = parseaddr(settings.mail_from)
    if one_line(settings.mail_from) != settings.mail_from.strip() or not _ADDRESS.fullmatch(address):
        raise ConfigError(f"{PREFIX}MAIL_FROM must be like `Omroeper <omroeper@opdrachten.example>`")
    public_url = settings.public_url.rstrip("/")
    if not _LINK.fullmatch(public_url) or len(public_url) > 500:
        raise ConfigError(f"{PREFIX}PUBLIC_URL is not a link that fits in a mail")
    return Sender(name, address, public_url)


def mailable(address: str) -> str:
    """Let an address through that needs no quoting anywhere (RFC 5321 `Dot-string@Domain`)."""
    local = address.partition("@")[0]
    if len(address) > 254 or len(local) > 64 or "=?" in local or not _ADDRESS.fullmatch(address):
        raise BadAddress("an address that cannot be mailed")
    return address
