"""Who should hear of it: a subscription's filter, and what an event has to match it with.

Rules:
1. Criteria are all met (and); the values within one criterion are alternatives (or).
2. A criterion left out is always met; a field the opportunity lacks never meets a criterion.
3. Regions and CPV codes match by prefix: BE2 takes BE234, 72000000 takes 72230000.
4. Free text: every word appears somewhere in the texts, whatever the case or accents.
5. Matching itself is one SQL statement (services/storage/planning.sql); this file prepares both sides.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from services.domain.event import Event, EventType
from services.domain.opportunity import Amount, Currency, Tag, as_number, text_in
from services.domain.problems import from_pydantic


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _type_name(value: Any) -> Any:
    if isinstance(value, str) and not value.startswith("opportunity."):
        return f"opportunity.{value}"
    return value


def _region(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _cpv_prefix(value: Any) -> Any:
    """Take the digits that mean something: 72000000-5 is all of division 72."""
    if not isinstance(value, str):
        return value
    digits = value.strip().partition("-")[0]
    return digits[:2] + digits[2:].rstrip("0") if len(digits) == 8 else digits


_Type = Annotated[EventType, BeforeValidator(_type_name)]
_Region = Annotated[str, BeforeValidator(_region), StringConstraints(pattern=r"^[A-Z]{2}[A-Z0-9]{0,3}$")]
_Cpv = Annotated[str, BeforeValidator(_cpv_prefix), StringConstraints(pattern=r"^[0-9]{2,8}$")]


def _names(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class _ValueRange(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    min: Amount | None = None
    max: Amount | None = None
    currency: Currency = "EUR"

    @model_validator(mode="after")
    def _in_order(self) -> "_ValueRange":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not be above max")
        return self

    @field_serializer("min", "max", when_used="json")
    def _as_number(self, amount: Decimal | None) -> int | float | None:
        return None if amount is None else as_number(amount)


class Filter(BaseModel):
    """What a subscription wants to hear of; empty means everything that is pushed."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    types: Annotated[tuple[_Type, ...], BeforeValidator(_listed), Field(max_length=5)] = Field(
        (), validation_alias=_names("types", "type")
    )
    regions: Annotated[tuple[_Region, ...], BeforeValidator(_listed), Field(max_length=100)] = Field(
        (), validation_alias=_names("regions", "region", "nuts")
    )
    cpv: Annotated[tuple[_Cpv, ...], BeforeValidator(_listed), Field(max_length=200)] = ()
    themes: Annotated[tuple[Tag, ...], BeforeValidator(_listed), Field(max_length=50)] = Field(
        (), validation_alias=_names("themes", "theme")
    )
    audience: Annotated[tuple[Tag, ...], BeforeValidator(_listed), Field(max_length=10)] = Field(
        (), validation_alias=_names("audience", "audiences")
    )
    procedures: Annotated[tuple[Tag, ...], BeforeValidator(_listed), Field(max_length=20)] = Field(
        (), validation_alias=_names("procedures", "procedure")
    )
    value: _ValueRange | None = Field(None, validation_alias=_names("value", "estimated_value"))
    text: Annotated[str, StringConstraints(max_length=200)] = Field(
        "", validation_alias=_names("text", "q", "keywords")
    )

    @field_validator("value")
    @classmethod
    def _limits_something(cls, value: _ValueRange | None) -> _ValueRange | None:
        """Take a range without limits for none at all."""
        return None if value is None or (value.min is None and value.max is None) else value

    def as_json(self) -> dict[str, Any]:
        """Write it as plain JSON, without what it leaves open."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude_none=True)

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the free text, as they are looked for."""
        return tuple(dict.fromkeys(fold(self.text).split()))


def parse_filter(value: object, *path: str | int) -> Filter:
    """Read a filter; None is the empty one. Raises `Invalid`, pointers below `path`."""
    try:
        return Filter.model_validate(value if value is not None else {})
    except ValidationError as error:
        raise from_pydantic(error, *path) from None


@dataclass(frozen=True, slots=True)
class Facts:
    """What an event offers to be matched, spelled for the SQL statement."""

    regions: tuple[str, ...]
    cpv: tuple[str, ...]
    themes: tuple[str, ...]
    audience: tuple[str, ...]
    procedure: str | None
    value: Decimal | None
    currency: str | None
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Give the fields by name."""
        return asdict(self)


def facts(event: Event) -> Facts:
    """Prepare an event for matching: prefixes of its codes, its texts folded."""
    data = event.data
    money = data.get("estimated_value") or {}
    return Facts(
        regions=_prefixes(data.get("regions", ()), 2),
        cpv=_prefixes(data.get("cpv", ()), 2),
        themes=tuple(data.get("themes", ())),
        audience=tuple(data.get("audience", ())),
        procedure=data.get("procedure"),
        value=Decimal(str(money["amount"])) if money else None,
        currency=money.get("currency"),
        text=_searchable(data),
    )


def fold(text: str) -> str:
    """Drop case and accents, and fold white space, so that `Één` finds `een`.

    >>> fold("  Één  CAFÉ ")
    'een cafe'
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
    return " ".join(bare.replace("\x00", "").split())


def _prefixes(codes: Iterable[str], shortest: int) -> tuple[str, ...]:
    return tuple(sorted({code[:n] for code in codes for n in range(shortest, len(code) + 1)}))


def _searchable(data: dict[str, Any]) -> str:
    texts = [
        text for field in ("title", "summary", "description") for text in (data.get(field) or {}).values()
    ]
    buyer = (data.get("buyer") or {}).get("name", "")
    return fold(" \n ".join([*texts, buyer, *data.get("themes", ())]))


def title_of(data: dict[str, Any], language: str) -> str:
    """The title in a language, or the id of an opportunity that has none."""
    return text_in(data.get("title"), language) or str(data.get("id", ""))


__all__ = ["Facts", "Filter", "facts", "fold", "parse_filter", "title_of"]
