"""Reads the forms of pages."""

from collections.abc import AsyncGenerator

from fastapi import Request
from starlette.datastructures import FormData
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from services.runtime.web.body import read_body
from services.runtime.web.problems import Refused

FORM_TYPES: dict[str, type[FormParser | MultiPartParser]] = {
    "application/x-www-form-urlencoded": FormParser,
    "multipart/form-data": MultiPartParser,
}


async def read_form(request: Request, limit: int) -> dict[str, str]:
    """Read the texts of a form of at most `limit` bytes; what is too large or not a form is an empty one."""
    parser = FORM_TYPES.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    if parser is None:
        return {}
    try:
        body = await read_body(request, limit)
        form = await parser(request.headers, _once(body)).parse()
    except (Refused, MultiPartException):
        return {}
    return await _texts(form)


async def _texts(form: FormData) -> dict[str, str]:
    """Leave out files, and give back the memory they take."""
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    await form.close()
    return texts


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    """Stream a body as the parsers expect it: an empty piece ends it."""
    yield body
    yield b""
