"""Answers that a receiver may have already: validators, and what a cache may keep.

Rules:
1. A strong ETag names all that an answer depends on, so it is known before anything is read.
2. Last-Modified is the second after the last member was appended, and is left out while that second is
   not over: what is appended within it would else go unseen (RFC 9110 section 8.8.2.2).
3. An answer that depends on more than the stream (a subscriber's filter, the day) has an ETag alone.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from importlib.metadata import version
from typing import Any

from fastapi import Request, Response

PUBLIC = "public, max-age=300"
PRIVATE = "private, max-age=300"
FOR_EVER = "public, max-age=31536000, immutable"
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
}
#: The address is a secret of its reader's.
_SECRET = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells whether an answer has changed: an ETag, and since when it is as it is."""

    etag: str
    changed_at: datetime | None = None

    def unchanged(self, request: Request) -> bool:
        """Tell whether the receiver has it already (RFC 9110 section 13.2.2)."""
        known = request.headers.get("if-none-match")
        if known is not None:
            return known.strip() == "*" or self.etag in (
                tag.strip().removeprefix("W/") for tag in known.split(",")
            )
        since = _http_date(request.headers.get("if-modified-since"))
        return since is not None and self.changed_at is not None and self.changed_at <= since

    def last_modified(self, asked_at: datetime) -> str | None:
        """Write Last-Modified, when everything up to then was appended before it was asked for."""
        if self.changed_at is None:
            return None
        second = (self.changed_at + timedelta(microseconds=999_999)).replace(microsecond=0)
        return format_datetime(second.astimezone(UTC), usegmt=True) if second <= asked_at else None


def etag(*parts: Any) -> str:
    """Make a strong ETag of all that an answer depends on."""
    depends_on = json.dumps([version("omroeper"), *parts], default=str).encode()
    return f'"{hashlib.sha256(depends_on).hexdigest()[:32]}"'


def headers(
    validators: Validators, asked_at: datetime, cache_control: str, **more: str | None
) -> dict[str, str]:
    """Put an answer's headers together; in `more`, names have underscores, and None is left out."""
    personal = _SECRET if cache_control == PRIVATE else {"Access-Control-Allow-Origin": "*"}
    given = {
        "ETag": validators.etag,
        "Last-Modified": validators.last_modified(asked_at),
        "Cache-Control": cache_control,
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return {**_SAFE, **personal, **{name: value for name, value in given.items() if value is not None}}


def not_modified(given: dict[str, str]) -> Response:
    """Say that the receiver has it already."""
    return Response(status_code=304, headers=given)


def _http_date(text: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
