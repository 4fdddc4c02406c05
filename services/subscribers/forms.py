"""Reads the forms that pages send: small ones, and what is none is an empty one."""

from collections.abc import AsyncGenerator

from fastapi import Request
from starlette.datastructures import FormData
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from services.runtime.web.body import read_body
from services.runtime.web.problems import Refused

#: A confirmation is a few dozen bytes; multipart adds its boundaries.
_BODY_BYTES = 8_192
FORMS: dict[str, type[FormParser | MultiPartParser]] = {
    "application/x-www-form-urlencoded": FormParser,
    "multipart/form-data": MultiPartParser,
}


async def read_form(request: Request) -> FormData:
    """Read a form; what is too large or not a form is an empty one."""
    parser = FORMS.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    if parser is None:
        return FormData()
    try:
        body = await read_body(request, _BODY_BYTES)
        return await parser(request.headers, _once(body)).parse()
    except (Refused, MultiPartException):
        return FormData()


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    """Stream a body as the parsers expect it: an empty piece ends it."""
    yield body
    yield b""
