"""Reads forms: small, plain text, and proof that the page they stand on is ours.

Rules:
1. A form is bound to the session (before there is one, to a cookie of the visitor): a page elsewhere cannot
   know what it must hold.
2. Where the browser says that a form comes from another site, it is refused whatever it holds.
3. Values are stripped text; what is missing is empty, so that no handler meets an absent field.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, Mapping, Sequence
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import FormData
from starlette.formparsers import FormParser

from services.runtime.web.body import read_body

FIELD = "form_token"
_BODY_BYTES = 65_536
_URLENCODED = "application/x-www-form-urlencoded"


class Form:
    """What somebody filled in."""

    def __init__(self, data: FormData | None = None) -> None:
        self._data = data or FormData()

    def __getitem__(self, name: str) -> str:
        return _plain(self._data.get(name, ""))

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def all(self, name: str) -> list[str]:
        """Give every value of a field, the empty ones left out."""
        return [text for value in self._data.getlist(name) if (text := _plain(value))]

    def chosen(self, name: str, choices: Sequence[str], otherwise: str) -> str:
        """Give a value out of some choices; whatever else was sent counts as `otherwise`."""
        return self[name] if self[name] in choices else otherwise


async def read_form(request: Request) -> Form:
    """Read a form; what is no form is an empty one. Raises `Refused` when it is too large."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _URLENCODED:
        return Form()
    body = await read_body(request, _BODY_BYTES)
    return Form(await FormParser(request.headers, _once(body)).parse())


def token(keys: Sequence[bytes], binding: str) -> str:
    """Make the token of the forms on a page, bound to a secret in a cookie."""
    return _signed(keys[0], binding)


def genuine(keys: Sequence[bytes], binding: str, given: str) -> bool:
    """Tell whether a form's token belongs to this cookie; any of the keys may have made it."""
    sent = given.encode()
    return any(hmac.compare_digest(_signed(key, binding).encode(), sent) for key in keys)


def from_here(headers: Mapping[str, str], public_url: str) -> bool:
    """Tell whether a browser sends this from a page of ours; one that says nothing is believed.

    Source: W3C Fetch Metadata, `Sec-Fetch-Site`; RFC 6454 section 7 (`Origin`) for older browsers.
    """
    if site := headers.get("sec-fetch-site"):
        return site == "same-origin"
    if (origin := headers.get("origin")) is None:
        return True
    ours = {urlsplit(public_url).netloc.lower(), headers.get("host", "").lower()}
    try:
        return urlsplit(origin).netloc.lower() in ours - {""}
    except ValueError:
        return False


def _signed(key: bytes, binding: str) -> str:
    return urlsafe_b64encode(hmac.digest(key, binding.encode(), "sha256")).decode().rstrip("=")


def _plain(value: object) -> str:
    return value.replace("\x00", "").strip() if isinstance(value, str) else ""


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
    yield b""
