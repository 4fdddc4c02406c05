"""Who hears of it: subscribers, and the subscriptions by which they do.

Rules:
1. A field that we do not know is refused by name, so that a typing error never goes unnoticed.
2. A target is kept as it will be used: a mail domain in lower case, a URL in its one ASCII form.
3. Digests are mails; what else is sent, is sent at once.
4. Addresses and secrets stay out of repr.
"""

import re
from datetime import time
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from services.domain.egress import Networks, check_target, host_of
from services.domain.matching import Filter, parse_filter
from services.domain.opportunity import Email, Name, Nuts
from services.domain.problems import Invalid, from_pydantic
from services.domain.signing import SYMMETRIC, check_secret

Kind = Literal["incubator", "accelerator", "network", "other"]
ChannelName = Literal["email", "webhook"]
Algorithm = Literal["v1", "v1a"]
Cadence = Literal["immediate", "daily", "weekly"]

DEFAULT_LANGUAGE = "nl"
DEFAULT_TIMEZONE = "Europe/Brussels"
#: How many days before a deadline a subscriber is reminded; each can be turned off.
REMINDER_DAYS = (14, 5, 1)
_SLUG = re.compile(r"[a-z0-9](-?[a-z0-9]){0,62}")
_LANGUAGE = re.compile(r"[a-z]{2}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def is_slug(text: str) -> bool:
    """Tell whether a text may name a subscriber.

    >>> is_slug("start-it-kbc"), is_slug("Start it!"), is_slug("a--b")
    (True, False, False)
    """
    return _SLUG.fullmatch(text) is not None


def _slug(text: str) -> str:
    if not is_slug(text):
        raise ValueError("must be lower-case letters, digits and single hyphens between them: start-it-kbc")
    return text


def _language(text: str) -> str:
    code = text.strip().lower()
    if not _LANGUAGE.fullmatch(code):
        raise ValueError("must be a language code of two letters, such as nl or en")
    return code


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("must be a time zone by its IANA name, such as Europe/Brussels")
    return name


def _time_of_day(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError("must be a time of the day in hours and minutes, such as 20:00")
    return text


def _reminders(days: tuple[int, ...]) -> tuple[int, ...]:
    if unknown := set(days) - set(REMINDER_DAYS):
        raise ValueError(f"can hold 14, 5 and 1 days before the deadline, not {min(unknown)}")
    return tuple(day for day in REMINDER_DAYS if day in days)


def _address(text: str) -> str:
    """Write the domain in lower case; what stands before it is its owner's to spell (RFC 5321, 2.4)."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be an e-mail address in plain ASCII; write the domain in its xn-- form")
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _empty_for_null(value: Any) -> Any:
    return {} if value is None else value


Slug = Annotated[
    str,
    AfterValidator(_slug),
    WithJsonSchema({"type": "string", "pattern": f"^{_SLUG.pattern}$", "examples": ["start-it-kbc"]}),
]
LanguageCode = Annotated[
    str, AfterValidator(_language), WithJsonSchema({"type": "string", "pattern": "^[a-z]{2}$"})
]
TimeZone = Annotated[str, AfterValidator(_timezone)]
DigestHour = Annotated[int, Field(ge=0, le=23)]
#: ISO 8601: 1 is Monday.
DigestWeekday = Annotated[int, Field(ge=1, le=7)]
ReminderDays = Annotated[tuple[int, ...], Field(max_length=3), AfterValidator(_reminders)]
Address = Annotated[Email, BeforeValidator(_stripped), AfterValidator(_address)]
_Name = Annotated[Name, BeforeValidator(_stripped), Field(max_length=200)]
_Filter = Annotated[Filter, BeforeValidator(_empty_for_null)]
_Target = Annotated[str, BeforeValidator(_stripped), StringConstraints(min_length=1, max_length=2_000)]
_ADDRESS: TypeAdapter[str] = TypeAdapter(Address)
_EVERYTHING = parse_filter(None)
_Clock = Annotated[
    str,
    AfterValidator(_time_of_day),
    WithJsonSchema({"type": "string", "pattern": f"^{_TIME.pattern}$", "examples": ["20:00"]}),
]


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def given(self) -> dict[str, Any]:
        """The fields that were given, as plain JSON values; what was left out stays out."""
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


class _Patch(_Given):
    # what is left out stays as it is, so the schema must not promise a default
    model_config = ConfigDict(json_schema_extra=_without_defaults)


class QuietHours(_Given):
    """From when until when nothing is sent, by the subscriber's clock; over midnight when `from` is later."""

    from_: _Clock = Field(alias="from")
    until: _Clock

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.from_ == self.until:
            raise ValueError("must begin and end at different times; leave quiet hours out for none")
        return self

    @property
    def times(self) -> tuple[time, time]:
        """The two times of the day."""
        return time.fromisoformat(self.from_), time.fromisoformat(self.until)


class PersonIn(_Given):
    """Somebody who may sign in for a subscriber, and is told when something needs them.

    Without a language of their own they read the subscriber's.
    """

    name: _Name = Field(repr=False)
    email: Address = Field(repr=False)
    language: LanguageCode | None = None


class SubscriberIn(_Given):
    """An organisation that passes opportunities on; `region` is a NUTS code, `contact` a mailbox."""

    slug: Slug
    name: _Name
    kind: Kind
    region: Nuts | None = None
    language: LanguageCode = DEFAULT_LANGUAGE
    contact: Address | None = Field(None, repr=False)
    timezone: TimeZone = DEFAULT_TIMEZONE
    digest_hour: DigestHour = 8
    digest_weekday: DigestWeekday = 1
    reminder_days: ReminderDays = REMINDER_DAYS


class SubscriberPatch(_Patch):
    """What changes about a subscriber; null clears its region or contact, and the slug stays."""

    name: _Name = ""
    kind: Kind = "other"
    region: Nuts | None = None
    language: LanguageCode = DEFAULT_LANGUAGE
    contact: Address | None = Field(None, repr=False)
    timezone: TimeZone = DEFAULT_TIMEZONE
    digest_hour: DigestHour = 8
    digest_weekday: DigestWeekday = 1
    reminder_days: ReminderDays = REMINDER_DAYS


class SubscriptionIn(_Given):
    """By which channel, to which target, about what; the language defaults to the subscriber's."""

    channel: ChannelName
    target: _Target = Field(repr=False)
    filter: _Filter = _EVERYTHING
    cadence: Cadence = "immediate"
    quiet_hours: QuietHours | None = None
    reminders: StrictBool = True
    language: LanguageCode | None = None
    verify: bool = False
    secret: Annotated[str, Field(max_length=200)] | None = Field(None, repr=False)
    algorithm: Algorithm = "v1"

    @field_validator("target")
    @classmethod
    def _reachable(cls, target: str, info: ValidationInfo) -> str:
        return _checked_target(info.data.get("channel"), target, info)

    @field_validator("cadence")
    @classmethod
    def _gathered_in_mails_only(cls, cadence: str, info: ValidationInfo) -> str:
        return _checked_cadence(info.data.get("channel"), cadence)

    @field_validator("secret")
    @classmethod
    def _can_sign(cls, secret: str | None) -> str | None:
        if secret is not None:
            if not secret.startswith(SYMMETRIC):
                raise ValueError(f"must begin with {SYMMETRIC}; for v1a we make the key pair ourselves")
            check_secret(secret)
        return secret

    @model_validator(mode="after")
    def _signs_webhooks_only(self) -> Self:
        if self.channel != "webhook" and self.model_fields_set & {"secret", "algorithm"}:
            raise ValueError("only a webhook has a secret and an algorithm; leave them out")
        if self.algorithm == "v1a" and self.secret is not None:
            raise ValueError("a secret can be supplied for v1 only; for v1a we make the key pair ourselves")
        return self


class SubscriptionPatch(_Patch):
    """What changes about a subscription; a null filter or null quiet hours take every restriction away."""

    target: _Target = Field("", repr=False)
    filter: _Filter = _EVERYTHING
    cadence: Cadence = "immediate"
    quiet_hours: QuietHours | None = None
    reminders: StrictBool = True
    language: LanguageCode = DEFAULT_LANGUAGE

    @field_validator("target")
    @classmethod
    def _reachable(cls, target: str, info: ValidationInfo) -> str:
        return _checked_target((info.context or {}).get("channel"), target, info)

    @field_validator("cadence")
    @classmethod
    def _gathered_in_mails_only(cls, cadence: str, info: ValidationInfo) -> str:
        return _checked_cadence((info.context or {}).get("channel"), cadence)


class Rotation(_Given):
    """How long the old secrets sign along with the new one."""

    overlap_hours: Annotated[int, Field(ge=0, le=168)] = 24


def _checked_target(channel: str | None, target: str, info: ValidationInfo) -> str:
    if channel == "email":
        return _checked_address(target)
    if channel == "webhook":
        return check_target(target, (info.context or {}).get("allowed", ()))
    return target  # the channel itself is refused already


def _checked_cadence(channel: str | None, cadence: str) -> str:
    if channel == "webhook" and cadence != "immediate":
        raise ValueError("a webhook is told at once; only mails are gathered into a daily or weekly digest")
    return cadence


def _checked_address(text: str) -> str:
    try:
        return _ADDRESS.validate_python(text)
    except ValidationError as error:
        raise ValueError(from_pydantic(error).problems[0].detail) from None


_Model = TypeVar("_Model", bound=BaseModel)


def _parse(model: type[_Model], value: object, **context: Any) -> _Model:
    if not isinstance(value, dict):
        raise Invalid.whole("must be a JSON object")
    try:
        return model.model_validate(value, context=context)
    except ValidationError as error:
        raise from_pydantic(error) from None


def parse_subscriber(value: object) -> SubscriberIn:
    """Read a new subscriber; raise `Invalid` with a problem per bad field."""
    return _parse(SubscriberIn, value)


def parse_person(value: object) -> PersonIn:
    """Read a new person; raise `Invalid` with a problem per bad field."""
    return _parse(PersonIn, value)


def parse_subscriber_patch(value: object) -> SubscriberPatch:
    """Read changes to a subscriber; raise `Invalid` with a problem per bad field."""
    return _parse(SubscriberPatch, value)


def parse_subscription(value: object, allowed: Networks) -> SubscriptionIn:
    """Read a new subscription; raise `Invalid`. Webhooks may reach public addresses and `allowed` ones."""
    return _parse(SubscriptionIn, value, allowed=allowed)


def parse_subscription_patch(value: object, channel: str, allowed: Networks) -> SubscriptionPatch:
    """Read changes to a subscription by a channel, which stays; raise `Invalid`."""
    return _parse(SubscriptionPatch, value, channel=channel, allowed=allowed)


def parse_rotation(value: object) -> Rotation:
    """Read how a secret is to be replaced; raise `Invalid`."""
    return _parse(Rotation, value)


def mailbox_of(address: str) -> str:
    """Name the mailbox behind an address, so that spelling it otherwise does not make it another.

    >>> mailbox_of("Info+omroeper@Start-It.example")
    'info@start-it.example'
    """
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def destination_of(channel: str, target: str) -> str:
    """Name what shares a target's fate: a web host, or a mail domain.

    >>> destination_of("email", "info@start-it.example"), destination_of("webhook", "https://a.example/x")
    ('start-it.example', 'a.example')
    """
    return target.rpartition("@")[2] if channel == "email" else host_of(target)
