"""Errors as RFC 9457 `application/problem+json`, with a pointer per bad field."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, cast

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from services.domain.limits import TooOften
from services.domain.problems import Invalid, pointer
from services.runtime.database import UNAVAILABLE

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


class Refused(Exception):
    """Answer with this problem: a status, a sentence, and what else belongs to it."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more


def problem(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """Describe a problem (RFC 9457 section 3.1); the type is about:blank, so the title is the status's."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }


def invalid(error: Invalid) -> dict[str, Any]:
    """Describe a refused input."""
    errors = [{"pointer": p.pointer, "detail": p.detail} for p in error.problems]
    return problem(422, _summary(error), errors=errors)


def respond(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a problem."""
    return JSONResponse(body, int(body["status"]), dict(headers or {}), media_type=MEDIA_TYPE)


def _summary(error: Invalid) -> str:
    first = error.problems[0]
    where = f" at {first.pointer}" if first.pointer else ""
    more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
    return f"The request cannot be accepted: {first.detail}{where}{more}."


async def _on_invalid(_: Request, error: Exception) -> Response:
    return respond(invalid(cast(Invalid, error)))


async def _on_refused(_: Request, error: Exception) -> Response:
    refused = cast(Refused, error)
    headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}
    return respond(problem(refused.status, refused.detail, **refused.more), headers)


async def _on_too_often(_: Request, error: Exception) -> Response:
    return respond(problem(429, str(error)), {"Retry-After": str(cast(TooOften, error).retry_after)})


async def _on_http(_: Request, error: Exception) -> Response:
    http = cast(HTTPException, error)
    return respond(problem(http.status_code, http.detail), http.headers)


async def _on_request(_: Request, error: Exception) -> Response:
    items = cast(RequestValidationError, error).errors()
    errors = [
        # "body" is where our pointers begin; a query parameter is named as it is
        {
            "pointer": pointer(*(p for p in item["loc"] if p not in ("body", "query", "path"))),
            "detail": item["msg"],
        }
        for item in items
    ]
    return respond(problem(422, "The request cannot be accepted; see errors.", errors=errors))


async def _on_unavailable(_: Request, error: Exception) -> Response:
    log.warning("database unavailable while answering: %s", type(error).__name__)
    detail = "The database cannot be reached just now. Try again; what was accepted already is recognised."
    return respond(problem(503, detail), {"Retry-After": "2"})


async def _on_data(_: Request, error: Exception) -> Response:
    """Answer what got past our own checks and the database cannot hold, such as a NUL in a query."""
    log.info("refused by the database: %s", type(error).__name__)
    return respond(problem(422, "The request holds a value that cannot be kept or looked for."))


async def _on_bug(_: Request, error: Exception) -> Response:
    """Answer a bug of ours; the server writes it to the log."""
    return respond(problem(500, "Something went wrong on our side; the log says what."))


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    Invalid: _on_invalid,
    Refused: _on_refused,
    TooOften: _on_too_often,
    HTTPException: _on_http,
    RequestValidationError: _on_request,
    Exception: _on_bug,
    asyncpg.DataError: _on_data,
    **dict.fromkeys(UNAVAILABLE, _on_unavailable),
}


def install(app: FastAPI) -> None:
    """Make an application answer every error as a problem."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
