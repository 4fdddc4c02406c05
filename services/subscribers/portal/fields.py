"""Reads single fields by the rules of the registry; None where the text does not do."""

from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from services.domain.opportunity import Name
from services.domain.subscriber import Address

_ADDRESS: TypeAdapter[str] = TypeAdapter(Address)
_NAME: TypeAdapter[str] = TypeAdapter(Annotated[Name, Field(max_length=200)])


def read_address(text: str) -> str | None:
    """Read an e-mail address."""
    return _read(_ADDRESS, text)


def read_name(text: str) -> str | None:
    """Read the name of a person or an organisation, of one line."""
    return _read(_NAME, text)


def _read(kind: TypeAdapter[str], text: str) -> str | None:
    try:
        return kind.validate_python(text)
    except ValidationError:
        return None
