"""A mail about an event, in one language, with places left open for what is personal."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formataddr
from uuid import UUID

from markupsafe import escape

from services.dispatcher.mail import wire
from services.dispatcher.mail.changed import sentences
from services.dispatcher.mail.slots import NAMES, Slot, Slots
from services.dispatcher.mail.templates import BadTemplate, Rendered, Templates, wrap
from services.dispatcher.mail.view import view
from services.dispatcher.message import Announcement
from services.domain.changes import Change
from services.domain.speech import Speech


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: display name (may be empty), address, and where people reach us."""

    name: str
    address: str
    public_url: str

    @property
    def domain(self) -> str:
        """The domain of the address."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The headers that all receivers share, and the body in chunks, said in one language."""

    said: Speech
    head: bytes
    chunks: tuple[wire.Chunk, ...]

    def filled(self, personal: Mapping[str, str]) -> bytes:
        """Fill the places left open, each in the way of the body it stands in."""
        values = {
            "html": {name: wire.quoted_printable(str(escape(text))) for name, text in personal.items()},
            "text": {name: wire.quoted_printable(wrap(text)) for name, text in personal.items()},
        }
        return b"".join(c if isinstance(c, bytes) else values[c[0]][c[1].name] for c in self.chunks)


def prepare(
    announcement: Announcement,
    language: str,
    changes: Sequence[Change] | None,
    *,
    templates: Templates,
    sender: Sender,
) -> Prepared:
    """Render an event's mail for everybody who reads this language; raise `BadTemplate`.

    `changes` are since the version that they had; None when they had none.
    """
    slots = Slots()
    said = templates.speech(language)
    context = {**view(announcement, language, said), "changes": sentences(changes or (), said)}
    if changes is not None:
        context["event"] = "updated"
    ours = {"sender": sender.name or sender.address, "public_url": sender.public_url}
    rendered = templates.render(context["event"], language, {**context, **ours, **slots.marks()})
    boundary = f"=_{secrets.token_hex(12)}"
    head = _head(rendered.subject, language, _list_id(said, sender), boundary, sender)
    return Prepared(said, head, _body(rendered, slots, boundary))


def finished(rendered: Rendered, said: Speech, language: str, delivery_id: UUID, sender: Sender) -> bytes:
    """Write a mail that is for one receiver alone; the same again for the same delivery and texts."""
    boundary = f"=_{delivery_id.hex}"
    body = _body(rendered, Slots(), boundary)
    head = _head(rendered.subject, language, _list_id(said, sender), boundary, sender)
    return head + b"".join(chunk for chunk in body if isinstance(chunk, bytes))


def _head(subject: str, language: str, list_id: str, boundary: str, sender: Sender) -> bytes:
    return b"".join(
        (
            wire.header("From", formataddr((sender.name, sender.address))),
            wire.text_header("Subject", subject),
            wire.header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            wire.header("List-Id", list_id),
            wire.header("Auto-Submitted", "auto-generated"),
            wire.header("Content-Language", language),
            wire.header("MIME-Version", "1.0"),
            wire.header("Content-Type", f'multipart/alternative; boundary="{boundary}"'),
            wire.CRLF,
        )
    )


def _list_id(said: Speech, sender: Sender) -> str:
    return f"{wire.phrase(said.gettext('Opportunities'))} <opdrachten.{sender.domain}>"


def _body(rendered: Rendered, slots: Slots, boundary: str) -> tuple[wire.Chunk, ...]:
    try:
        subject, text, html = (slots.split(t) for t in (rendered.subject, rendered.text, rendered.html))
    except ValueError as error:
        raise BadTemplate(str(error)) from error
    if any(isinstance(piece, Slot) for piece in subject):
        raise BadTemplate(f"the subject may not hold a personal text ({NAMES})")
    return (
        _part_head(boundary, "plain"),
        *wire.chunks("text", text),
        _part_head(boundary, "html"),
        *wire.chunks("html", html),
        f"\r\n--{boundary}--\r\n".encode("ascii"),
    )


def _part_head(boundary: str, subtype: str) -> bytes:
    return (
        f"\r\n--{boundary}\r\n"
        f"Content-Type: text/{subtype}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode("ascii")
