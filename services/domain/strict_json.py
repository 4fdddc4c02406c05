"""Reads JSON strictly, and refuses what Postgres or a reader downstream could not hold."""

import json
import math
from decimal import Decimal
from typing import Any

from services.domain.problems import Invalid

_DEEPEST = 50
_FIRST_WITH_EXPONENT = 1e16  # from here on, Python writes floats with an exponent


def parse_json(raw: bytes) -> Any:
    """Read JSON (RFC 8259: UTF-8, no NaN); raise `Invalid` with where it goes wrong."""
    try:
        value = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_float=_float)
    except UnicodeDecodeError as error:
        raise Invalid.whole(f"is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Invalid.whole(f"is not JSON: {error.msg} ({where})") from None
    except (RecursionError, ValueError) as error:
        raise Invalid.whole(f"is not JSON we can read: {type(error).__name__}") from None
    _check(value)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _float(text: str) -> int | float:
    """Read a number as it comes back from jsonb, which knows no exponents, infinity or minus zero."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return int(Decimal(repr(number))) if abs(number) >= _FIRST_WITH_EXPONENT else number + 0.0


def _check(value: Any) -> None:
    """Refuse NUL, lone surrogates and deep nesting."""
    todo = [(value, 0)]
    while todo:
        item, depth = todo.pop()
        if depth > _DEEPEST:
            raise Invalid.whole(f"is nested deeper than {_DEEPEST} levels")
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, dict):
            todo.extend((part, depth + 1) for pair in item.items() for part in pair)
        elif isinstance(item, list):
            todo.extend((part, depth + 1) for part in item)


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise Invalid.whole("contains a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid.whole("contains half of a surrogate pair") from None
