"""Reads a request's body up to a limit, as bytes or JSON."""

import json
from typing import Any

from fastapi import Request

from services.domain.problems import Invalid, Problem
from services.runtime.web.problems import Refused

_DEEPEST = 50


async def read_body(request: Request, limit: int) -> bytes:
    """Read the body; answer 413 as soon as it is known to be larger than `limit` bytes."""
    if int(request.headers.get("content-length") or 0) > limit:
        raise Refused(413, f"The body is larger than the {limit} bytes accepted.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Refused(413, f"The body is larger than the {limit} bytes accepted.")
    return bytes(body)


def parse_json(raw: bytes) -> Any:
    """Read JSON strictly (RFC 8259: no NaN, UTF-8 only); raise `Invalid` with where it goes wrong."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise Invalid(Problem("", f"is not UTF-8 (byte {error.start})")) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Invalid(Problem("", f"is not JSON: {error.msg} ({where})")) from None
    except (RecursionError, ValueError) as error:
        raise Invalid(Problem("", f"is not JSON we can read: {type(error).__name__}")) from None
    _check(value)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _check(value: Any) -> None:
    """Refuse what Postgres or a reader downstream could not hold: NUL, lone surrogates, deep nesting."""
    todo = [(value, 0)]
    while todo:
        item, depth = todo.pop()
        if depth > _DEEPEST:
            raise Invalid(Problem("", f"is nested deeper than {_DEEPEST} levels"))
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, dict):
            todo.extend((part, depth + 1) for pair in item.items() for part in pair)
        elif isinstance(item, list):
            todo.extend((part, depth + 1) for part in item)


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise Invalid(Problem("", "contains a NUL character"))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(Problem("", "contains half of a surrogate pair")) from None
