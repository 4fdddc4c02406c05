"""What a channel is given, and what a channel is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from services.domain.changes import Change, changes
from services.domain.delivery import Outcome
from services.domain.event import EventType


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event as it is sent: the same for every receiver. Channels cache by its `id`."""

    id: UUID
    source: str
    ce_id: str
    type: EventType
    subject: str
    version: int
    occurred_at: datetime
    data: Mapping[str, Any]
    deadline: datetime | None


@dataclass(frozen=True, slots=True)
class Item:
    """One of several announcements in a mail, with why it is there; `since` is as of `Message`."""

    announcement: Announcement = field(repr=False)
    since: Announcement | None = field(repr=False)
    matches: tuple[Mapping[str, Any], ...]

    @property
    def changes(self) -> list[Change]:
        """What changed since the version that the receiver had."""
        return _changes(self.since, self.announcement)


@dataclass(frozen=True, slots=True)
class Mailing:
    """Several announcements in one mail: `kind` is `digest_daily`, `digest_weekly` or `reminder`.

    `timezone` names the receiver's clock.
    """

    kind: str
    timezone: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery to send: an announcement, and what is personal about it.

    `since` is the version that the receiver was sent last; None when there was none before. Channels that
    cache what they write do so by the ids of both. With a `mailing`, `announcement` is the first in it.
    `attempt` counts from 1. `secrets` are the webhook's signing secrets, newest first (`whsec_…` or
    `whsk_…`). Addresses and secrets stay out of repr, so that no log shows them.
    """

    delivery_id: UUID
    attempt: int
    announcement: Announcement = field(repr=False)
    subscription_id: UUID
    subscriber_id: UUID
    subscriber: str
    target: str = field(repr=False)
    language: str
    match: Mapping[str, Any]
    unsubscribe_token: str = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    since: Announcement | None = field(default=None, repr=False)
    mailing: Mailing | None = field(default=None, repr=False)

    @property
    def changes(self) -> list[Change]:
        """What changed since the version that the receiver had: `{"field", "from", "to"}`, in plain JSON."""
        return _changes(self.since, self.announcement)


def _changes(since: Announcement | None, announcement: Announcement) -> list[Change]:
    return [] if since is None else changes(since.data, announcement.data)


class Channel(Protocol):
    """A way out. It translates its library's errors to an Outcome, in one table.

    `send` never raises for what a receiver or relay does; an exception is a bug, and the sender
    records it as `Temporary("unexpected")`. Cancelling it is our shutdown or the stop of a send.
    """

    name: str

    async def send(self, message: Message) -> Outcome:
        """Try once; the sender bounds how many run at once."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
