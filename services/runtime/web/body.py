"""Reads a request's body, up to a limit."""

from fastapi import Request

from services.domain.strict_json import parse_json
from services.runtime.web.problems import Refused

__all__ = ["parse_json", "read_body"]


async def read_body(request: Request, limit: int) -> bytes:
    """Read the body; answer 413 as soon as it is known to be larger than `limit` bytes."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise Refused(413, f"The body is larger than the {limit} bytes accepted.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Refused(413, f"The body is larger than the {limit} bytes accepted.")
    return bytes(body)
