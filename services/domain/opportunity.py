"""The opportunity (*opdracht*): the thing announced, as everybody receives it.

Rules:
1. What is refused says why, per field; what is unknown is kept and passed on, not interpreted.
2. Texts are `{language: text}`; a plain string is Dutch.
3. Instants carry an offset; a naive one is refused, because "noon" decides who is too late.
4. Links are https; codes (CPV, NUTS) are well-formed; every list and text has a limit.
"""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    field_serializer,
)

from services.domain.problems import Invalid, Problem, from_pydantic

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029]")
_EMAIL = re.compile(r"[^\s@<>\"'(),:;\\\[\]]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])")


def _clean(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("contains control characters; send plain text")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise ValueError("must be one line")
    return _clean(text)


def _https(url: str) -> str:
    try:
        parts = urlsplit(_one_line(url))
        acceptable = parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        acceptable = False
    if not acceptable or " " in url:
        raise ValueError("must be an https link with a host and without user name")
    return url


def _email(address: str) -> str:
    if not _EMAIL.fullmatch(address) or ".." in address:
        raise ValueError("is not an e-mail address")
    return address


def _localised(value: Any) -> Any:
    return {"nl": value} if isinstance(value, str) else value


def _number(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,4})?", value):
        raise ValueError("must be a number, such as 140000 or 140000.50")
    return value


def _written(value: Any) -> Any:
    if not isinstance(value, str | datetime):
        raise ValueError("must be an instant as text, such as 2027-01-12T12:00:00+01:00")
    return value


def _sensible(at: datetime) -> datetime:
    if not 1900 <= at.year <= 2999:
        raise ValueError("must be between the years 1900 and 2999")
    return at


def _cpv(code: str) -> str:
    return code.partition("-")[0]


def _nuts(code: str) -> str:
    return code.strip().upper()


Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")]


def _within(limit: int, *, one_line: bool = False) -> AfterValidator:
    """Hold every language's text to a length, and to one line where it must be."""
    clean = _one_line if one_line else _clean

    def check(texts: dict[str, str]) -> dict[str, str]:
        if not any(text.strip() for text in texts.values()):
            raise ValueError("must say something in at least one language")
        if any(len(text) > limit for text in texts.values()):
            raise ValueError(f"must be at most {limit} characters per language")
        return {language: clean(text.strip()) for language, text in texts.items()}

    return AfterValidator(check)


def _text_schema(limit: int) -> WithJsonSchema:
    text = {"type": "string", "minLength": 1, "maxLength": limit}
    by_language = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 24,
        "propertyNames": {"pattern": "^[a-z]{2}(-[A-Z]{2})?$"},
        "additionalProperties": text,
    }
    return WithJsonSchema({"anyOf": [text, by_language]})


_Texts = Annotated[dict[Language, str], Field(max_length=24), BeforeValidator(_localised)]
Title = Annotated[_Texts, _within(400, one_line=True), _text_schema(400)]
Summary = Annotated[_Texts, _within(4_000), _text_schema(4_000)]
Description = Annotated[_Texts, _within(50_000), _text_schema(50_000)]
HttpsUrl = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_https)]
Email = Annotated[str, StringConstraints(max_length=254), AfterValidator(_email)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(_one_line)]
Tag = Annotated[
    str,
    # before its length is measured: some letters are two in lower case
    BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value),
    StringConstraints(min_length=1, max_length=100),
    AfterValidator(_one_line),
]
Cpv = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{8}(-[0-9])?$", strip_whitespace=True), AfterValidator(_cpv)
]
Nuts = Annotated[
    str,
    BeforeValidator(lambda v: _nuts(v) if isinstance(v, str) else v),
    StringConstraints(pattern=r"^[A-Z]{2}[A-Z0-9]{0,3}$"),
]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Amount = Annotated[
    Decimal,
    BeforeValidator(_number),
    # 15 digits: as many as a JSON number keeps everywhere (IEEE 754 binary64)
    Field(ge=0, lt=Decimal("1e15"), max_digits=15, decimal_places=4),
    WithJsonSchema({"type": "number", "minimum": 0, "exclusiveMaximum": 1e15}),
]
Instant = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_sensible)]
OpportunityId = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[!-~]+$"), AfterValidator(_one_line)
]


def as_number(amount: Decimal) -> int | float:
    """Write an amount as JSON has it."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class Buyer(_Part):
    """The contracting authority (*aanbestedende overheid*)."""

    name: Name
    url: HttpsUrl | None = None
    kbo: Annotated[str, StringConstraints(pattern=r"^[01]?\d{3}\.?\d{3}\.?\d{3}$")] | None = None
    ovo_code: Annotated[str, StringConstraints(pattern=r"^OVO\d{6}$")] | None = None


class Money(_Part):
    """An amount without VAT. The currency is ISO 4217."""

    amount: Amount
    currency: Currency = "EUR"

    @field_serializer("amount", when_used="json")
    def _as_number(self, amount: Decimal) -> int | float:
        return as_number(amount)


class Contact(_Part):
    """A functional mailbox, not a person (data minimisation)."""

    name: Name | None = None
    email: Email | None = None


class Document(_Part):
    """A procurement document, by link."""

    title: Name | None = None
    url: HttpsUrl


class Opportunity(_Part):
    """A public contract fit for start-ups, in one version."""

    id: OpportunityId
    version: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    title: Title
    summary: Summary | None = None
    description: Description | None = None
    buyer: Buyer | None = None
    procedure: Tag | None = None
    nature: Literal["works", "supplies", "services"] | None = None
    estimated_value: Money | None = None
    cpv: Annotated[tuple[Cpv, ...], Field(max_length=100)] = ()
    themes: Annotated[tuple[Tag, ...], Field(max_length=50)] = ()
    regions: Annotated[tuple[Nuts, ...], Field(max_length=100)] = ()
    audience: Annotated[tuple[Tag, ...], Field(max_length=10)] = ()
    published_at: Instant | None = None
    deadline: Instant | None = None
    questions_until: Instant | None = None
    url: HttpsUrl | None = None
    contact: Contact | None = None
    documents: Annotated[tuple[Document, ...], Field(max_length=100)] = ()

    def as_json(self) -> dict[str, Any]:
        """Write it as plain JSON values: absent fields left out, unknown ones kept."""
        return self.model_dump(mode="json", exclude_none=True)


class Reference(_Part):
    """What a withdrawn, closed or awarded notice must say at least: which opportunity.

    Without a version it is about all versions so far. A closing or an award may tell what came of it.
    """

    id: OpportunityId
    version: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    title: Title | None = None
    deadline: Instant | None = None
    proposals: Annotated[int, Field(strict=True, ge=0, le=100_000)] | None = Field(
        default=None, description="How many proposals (*voorstellen*) the buyer received"
    )
    startup_won: Annotated[bool, Field(strict=True)] | None = Field(
        default=None, description="Whether it was awarded to a start-up or scale-up"
    )

    def as_json(self) -> dict[str, Any]:
        """Write it as plain JSON values."""
        return self.model_dump(mode="json", exclude_none=True)


def parse_opportunity(data: object, *path: str | int) -> Opportunity:
    """Read an opportunity; raise `Invalid` with a problem per bad field, pointers below `path`."""
    if not isinstance(data, dict):
        raise Invalid(Problem("".join(f"/{p}" for p in path), "must be a JSON object: the opportunity"))
    try:
        return Opportunity.model_validate(data)
    except ValidationError as error:
        raise from_pydantic(error, *path) from None


def text_in(texts: dict[str, str] | None, language: str) -> str:
    """Choose the text in a language, else Dutch, else English, else whatever there is.

    >>> text_in({"nl": "Kade", "en": "Quay"}, "en"), text_in({"fr": "Quai"}, "en"), text_in(None, "nl")
    ('Quay', 'Quai', '')
    """
    if not texts:
        return ""
    wanted = (language, language.partition("-")[0], "nl", "en")
    return next((texts[key] for key in wanted if texts.get(key)), next(iter(texts.values())))


def instant(value: object) -> datetime | None:
    """Read an instant as stored in `as_json`; None stays None."""
    return datetime.fromisoformat(value) if isinstance(value, str) else None
