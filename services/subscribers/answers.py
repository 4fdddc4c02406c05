"""What the registry answers: the records as others see them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

#: The problems that a route documents, by status.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No API key, or not one we know"},
    403: {"description": "A key that may not do this"},
    404: {"description": "There is nothing by this name"},
    409: {"description": "It stands in the way of what is there"},
    413: {"description": "The body is too large"},
    422: {"description": "Something is wrong with it; `errors` points at each field"},
    429: {"description": "Asked for too often; `Retry-After` says when again"},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document these problems, and those that any call with a key can meet."""
    return {status: PROBLEMS[status] for status in (401, 403, *statuses)}


class Subscriber(BaseModel):
    """An organisation that is told."""

    id: UUID
    slug: str
    name: str
    kind: str
    region: str | None
    language: str
    contact: str | None
    timezone: str = Field(description="Whose clock counts for digests, reminders and quiet hours")
    digest_hour: int
    digest_weekday: int = Field(description="ISO 8601: 1 is Monday")
    reminder_days: list[int] = Field(description="How many days before a deadline to be reminded")
    created_at: datetime


class ListedSubscriber(Subscriber):
    """A subscriber in a list; `subscription_count` leaves out what has ended."""

    subscription_count: int


class QuietHours(BaseModel):
    """From when until when nothing is sent, by the subscriber's clock."""

    from_: str = Field(alias="from")
    until: str


class Subscription(BaseModel):
    """A way by which a subscriber is told; `subscriber` is a slug."""

    id: UUID
    subscriber: str
    channel: str
    target: str
    destination: str = Field(description="What shares its fate: a web host, or a mail domain")
    filter: dict[str, Any]
    cadence: str
    quiet_hours: QuietHours | None = Field(description="When nothing is sent, by the subscriber's clock")
    reminders: bool = Field(
        description="Whether it reminds of deadlines, on the subscriber's `reminder_days`"
    )
    language: str
    status: str = Field(description="pending, active, paused, disabled or ended")
    status_reason: str | None
    confirmed_at: datetime | None = Field(
        description="When its owner confirmed it, or the webhook proved itself; null: an operator vouches"
    )
    algorithm: str | None = Field(description="How its webhooks are signed: v1 or v1a; null for others")
    created_at: datetime
    ended_at: datetime | None
    ended_reason: str | None


class NewSubscription(Subscription):
    """A subscription just made."""

    secret: str | None = Field(
        description="For a webhook, this once: the secret to check `v1` signatures with (`whsec_…`), or "
        "the public key to check `v1a` ones with (`whpk_…`)"
    )


class Person(BaseModel):
    """Somebody who may sign in for a subscriber, and is told when something needs them."""

    id: UUID
    name: str
    email: str
    language: str | None = Field(description="In which they read; null: that of the subscriber")
    created_at: datetime


class NewPerson(Person):
    """Somebody who was added, and whether a letter tells them so."""

    invited: bool


class PersonList(BaseModel):
    """A subscriber's people, in the order in which they came."""

    items: list[Person]
    next: None = None


class SubscriberInFull(Subscriber):
    """A subscriber with its people and subscriptions, the ended ones too."""

    people: list[Person]
    subscriptions: list[Subscription]


class SubscriberPage(BaseModel):
    """A page of subscribers; `next` is the cursor of the page after it, null at the end."""

    items: list[ListedSubscriber]
    next: str | None


class SubscriptionList(BaseModel):
    """A subscriber's subscriptions, oldest first, the ended ones too."""

    items: list[Subscription]
    next: None = None


class Rotated(BaseModel):
    """The new secret, this once; the ones before it sign along for `overlap_hours`."""

    id: UUID
    algorithm: str
    secret: str
    overlap_hours: int


def subscription(row: Any) -> Subscription:
    """Write a subscription down."""
    return Subscription(**subscription_fields(row))


def subscription_fields(row: Any) -> dict[str, Any]:
    """Name what a subscription's row holds as the API does."""
    fields = dict(row)
    begin, end = fields.pop("quiet_from"), fields.pop("quiet_until")
    # midnight counts as something, too
    quiet = None if begin is None else {"from": f"{begin:%H:%M}", "until": f"{end:%H:%M}"}
    return {**fields, "quiet_hours": quiet}


def in_full(row: Any, people: Sequence[Any], subscriptions: Sequence[Any]) -> SubscriberInFull:
    """Write a subscriber down, with its people and subscriptions."""
    return SubscriberInFull(
        **dict(row),
        people=[Person(**dict(item)) for item in people],
        subscriptions=[subscription(item) for item in subscriptions],
    )
