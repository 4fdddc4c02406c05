"""Sends announcements as webhooks (Standard Webhooks 1.0.0).

Rules:
1. The status line decides; what follows it is kept as an excerpt, as far as it comes.
2. A redirect is a failure, never followed: it could lead anywhere.
3. Only 410 and an address or URL that is wrong in itself are final; all else may pass.
4. An opportunity is written once for all; what is personal (`data._omroeper`) is set in behind it.
"""

import json
import re
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from importlib.metadata import version
from typing import Any
from uuid import UUID

import aiohttp
from yarl import URL

from services.dispatcher.egress import BlockedAddress, Sessions
from services.dispatcher.message import Announcement, Message
from services.domain.changes import Change
from services.domain.delivery import EXCERPT_BYTES, Outcome, Permanent, Sent, Temporary
from services.domain.egress import Networks
from services.domain.signing import sign
from services.runtime.clock import utc_now
from services.runtime.passing_links import PassingLink

USER_AGENT = f"Omroeper/{version('omroeper')}"
_PATIENCE = timedelta(seconds=60)

#: What went wrong without an answer, most specific first; a wrapped system error counts as itself.
FAILURES: tuple[tuple[type[BaseException], Temporary | Permanent], ...] = (
    (BlockedAddress, Permanent("blocked_address")),
    (aiohttp.RedirectClientError, Temporary("redirect")),
    (aiohttp.TooManyRedirects, Temporary("redirect")),
    (aiohttp.InvalidURL, Permanent("bad_url")),
    (aiohttp.NonHttpUrlClientError, Permanent("bad_url")),
    (UnicodeError, Permanent("bad_url")),  # a host name with a label too long to look up
    (TimeoutError, Temporary("timeout", at_least=_PATIENCE)),
    (aiohttp.ClientConnectorDNSError, Temporary("dns")),
    (socket.gaierror, Temporary("dns")),
    (aiohttp.ServerFingerprintMismatch, Temporary("certificate")),
    (ssl.SSLCertVerificationError, Temporary("certificate")),
    (aiohttp.ClientSSLError, Temporary("tls")),
    (ssl.SSLError, Temporary("tls")),
    (ConnectionRefusedError, Temporary("connection_refused")),
    (ConnectionError, Temporary("connection_reset")),
    (aiohttp.ServerDisconnectedError, Temporary("connection_reset")),
    (aiohttp.UploadAbortedError, Temporary("connection_reset")),
    (aiohttp.ClientPayloadError, Temporary("protocol")),
    (aiohttp.ClientResponseError, Temporary("protocol")),
    (aiohttp.ClientConnectionError, Temporary("connection_failed")),
    (OSError, Temporary("connection_failed")),
)

#: Source: Standard Webhooks 1.0.0, "Deliverability and reliability".
_THROTTLING = frozenset({429, 502, 504})
_MAY_ASK_TO_WAIT = frozenset({429, 502, 503, 504})
_LONGEST_ASKED = timedelta(days=30)
_SECONDS = re.compile(r"[0-9]{1,9}")
_READ_BYTES = 64 * 1024
_BODIES = 64
_OURS = "_omroeper"
_url = lru_cache(maxsize=4096)(URL)


class Webhook:
    """The channel that posts to a receiver's own endpoint."""

    name = "webhook"

    def __init__(
        self,
        *,
        timeout_seconds: float,
        allowed_networks: Networks,
        slots: int,
        passing_link: PassingLink,
        origin: str,
        user_agent: str = USER_AGENT,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._passing_link, self._user_agent, self._clock = passing_link, user_agent, clock
        self._origin = origin
        self._bodies: OrderedDict[tuple[UUID, UUID | None], bytes] = OrderedDict()
        self._sessions = Sessions(allowed_networks, limit=slots, timeout_seconds=timeout_seconds)

    async def send(self, message: Message) -> Outcome:
        """Post once; the same delivery always carries the same `webhook-id`."""
        body, now = self._body(message), self._clock()
        try:
            headers = signed_headers(
                *(str(message.delivery_id), int(now.timestamp()), body, message.secrets),
                origin=self._origin,
                user_agent=self._user_agent,
            )
        except ValueError:
            return Temporary("bad_secret")
        try:
            url = _url(message.target)
        except ValueError:
            return Permanent("bad_url")
        try:
            post = self._sessions.to(url).post
            async with post(url, data=body, headers=headers, allow_redirects=False) as response:
                return answered(response.status, await excerpt_of(response), _asked(response, now))
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            return failed(error)

    async def close(self) -> None:
        """Give back connections; a later send opens new ones."""
        await self._sessions.close()

    def _body(self, message: Message) -> bytes:
        link = self._passing_link(message.subscriber_id, message.announcement.id)
        return self._shared(message) + personal_part(link)

    def _shared(self, message: Message) -> bytes:
        """Write once what all have in common who had the same version before."""
        key = (message.announcement.id, message.since.id if message.since else None)
        body = self._bodies.get(key)
        if body is None:
            changes = message.changes if message.since else None
            body = self._bodies[key] = shared_part(message.announcement, changes)
            if len(self._bodies) > _BODIES:
                self._bodies.popitem(last=False)
        else:
            self._bodies.move_to_end(key)
        return body


def shared_part(announcement: Announcement, changes: Sequence[Change] | None = None) -> bytes:
    """Begin the body: `type`, `timestamp` (of the event, UTC) and `data` (the opportunity), left open.

    `changes` are since the version that the receivers had; None when they had none. What the opportunity
    itself holds under our name is left out: nobody else speaks for us.
    """
    data = {name: value for name, value in announcement.data.items() if name != _OURS}
    comma = b"," if data else b""
    ours = b"{" if changes is None else b'{"changes":%b,' % _json(changes)
    whole = body_of(announcement.type, announcement.occurred_at, data)
    return whole.removesuffix(b"}}") + comma + _json(_OURS) + b":" + ours


def body_of(kind: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """Write a body of this type; what is signed is these bytes."""
    timestamp = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return _json({"type": kind, "timestamp": timestamp, "data": data})


def personal_part(passed_on_url: str) -> bytes:
    """End the body: what is for this receiver alone."""
    return b'"passed_on_url":%b}}}' % _json(passed_on_url)


#: `json.dumps` with these makes an encoder each time.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def _json(value: object) -> bytes:
    return _encode(value).encode()


def signed_headers(
    message_id: str,
    timestamp: int,
    body: bytes,
    secrets: Sequence[str],
    *,
    origin: str,
    user_agent: str = USER_AGENT,
) -> dict[str, str]:
    """Write the headers of a webhook; raise ValueError for a secret that cannot sign.

    `origin` is our host: who consented to it by OPTIONS expects it with every message (CloudEvents 1.0
    "HTTP 1.1 Web Hooks", section 4.2), and nobody else minds.
    """
    return {
        # all that aiohttp would add itself: finding them here is faster than being told to skip them
        "accept": "*/*",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": user_agent,
        "webhook-request-origin": origin,
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, message_id, timestamp, body),
    }


def answered(status: int, excerpt: str, asked: timedelta | None) -> Outcome:
    """Tell what an answer's status means. Source: Standard Webhooks 1.0.0."""
    if 200 <= status < 300:
        return Sent(status, excerpt)
    if status == 410:
        return Permanent("gone", status, excerpt, gone=True)
    if 300 <= status < 400:
        return Temporary("redirect", status, excerpt)
    if 400 <= status < 600:
        patience = _PATIENCE if status in _THROTTLING else timedelta()
        return Temporary(f"http_{status}", status, excerpt, asked, patience)
    return Temporary("protocol", status, excerpt)


def failed(error: BaseException) -> Outcome:
    """Look up what an exception means; raise it again when FAILURES does not know it."""
    faces = (error, *_system_errors(error))
    for kind, outcome in FAILURES:
        if any(isinstance(face, kind) for face in faces):
            return outcome
    raise error


def _system_errors(error: BaseException) -> Iterator[OSError]:
    """What aiohttp wrapped, and what the error number says: it does not keep Python's own subclasses."""
    if isinstance(error, aiohttp.ClientConnectorError):
        yield error.os_error
    if isinstance(error, OSError) and error.errno is not None:
        yield OSError(error.errno, "")


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read a Retry-After header, seconds or a date; None when absent, past or beyond reason.

    Source: RFC 9110 section 10.2.3.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        asked = timedelta(seconds=int(text))
    else:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        asked = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return asked if timedelta() <= asked <= _LONGEST_ASKED else None


def _asked(response: aiohttp.ClientResponse, now: datetime) -> timedelta | None:
    if response.status not in _MAY_ASK_TO_WAIT:
        return None
    return retry_after(response.headers.get("retry-after"), now)


async def excerpt_of(response: aiohttp.ClientResponse) -> str:
    """Read a little of the body; one that breaks off or never ends changes nothing (rule 1)."""
    kept, left, content = b"", _READ_BYTES, response.content
    try:
        while left > 0 and not content.at_eof():
            chunk = await content.read(left)
            left -= len(chunk)
            kept += chunk[: EXCERPT_BYTES - len(kept)]
    except (aiohttp.ClientError, OSError):
        response.close()
    if left <= 0:
        response.close()
    return kept.decode(errors="replace").replace("\x00", "")
