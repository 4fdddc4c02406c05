"""A typed client for `POST /v1/events`.

    async with PublisherClient("https://omroeper.example", api_key) as omroeper:
        published = await omroeper.publish(opportunity)

Events are idempotent on their identity, so the client repeats what got no clear answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_before_delay,
)
from tenacity.wait import wait_exponential, wait_random

from services.domain.event import BATCH, STRUCTURED
from services.runtime.clock import utc_now

_REPEATED = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Published:
    """An event that is remembered; `id` is its name in every path of the API."""

    id: str
    status: str


class PublishRefused(Exception):
    """The event was refused, and sending it again would not help.

    `problem` is the answer (RFC 9457); its `errors` point at the bad fields.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(status, problem)
        self.status, self.problem = status, problem

    def __str__(self) -> str:
        lines = [str(self.problem.get("detail") or f"HTTP {self.status}")]
        errors = self.problem.get("errors")
        told = [e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []
        lines += [f"  {e.get('pointer') or '/'}: {e.get('detail')}" for e in told]
        return "\n".join(lines)


class PublisherUnavailable(Exception):
    """The publisher gave no usable answer in time; the event may or may not be remembered."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class _NoAddress(PublisherUnavailable):
    """There is nothing to try again."""


class PublisherClient:
    """Publishes events; use it as an async context manager.

    A request is repeated on connection errors, 408, 425, 429 and 5xx, with growing waits, for at most
    `patience_seconds`; a `Retry-After` is honoured up to 30 s.
    """

    def __init__(
        self, url: str, api_key: str, *, timeout_seconds: float = 15.0, patience_seconds: float = 60.0
    ) -> None:
        self._url = url.rstrip("/") + "/v1/events"
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._patience_seconds = patience_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def publish(self, event: Mapping[str, Any]) -> Published:
        """Publish a CloudEvent (it has a `specversion`) or a bare opportunity.

        Raises `PublishRefused` for what will not be accepted, `PublisherUnavailable` when patience ends.
        """
        content_type = STRUCTURED if "specversion" in event else "application/json"
        answer = await self._post(event, content_type)
        return Published(answer["id"], answer["status"])

    async def publish_batch(self, events: Sequence[Mapping[str, Any]]) -> list[Published | PublishRefused]:
        """Publish CloudEvents together; give for each, in order, what became of it. Raises as `publish`."""
        answers = await self._post(list(events), BATCH)
        return [
            PublishRefused(a["status"], a)
            if isinstance(a["status"], int)
            else Published(a["id"], a["status"])
            for a in answers
        ]

    async def _post(self, body: Any, content_type: str) -> Any:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(PublisherUnavailable) & retry_if_not_exception_type(_NoAddress),
            wait=_wait,
            stop=stop_before_delay(self._patience_seconds),
            reraise=True,
        )
        return await retrying(self._post_once, body, content_type)

    async def _post_once(self, body: Any, content_type: str) -> Any:
        if self._session is None:
            raise RuntimeError("use `async with PublisherClient(…)`")
        headers = {"Content-Type": content_type}
        try:
            # a redirect would turn it into a GET
            async with self._session.post(
                self._url, json=body, headers=headers, allow_redirects=False
            ) as response:
                return await _answer(response)
        except aiohttp.InvalidURL as error:
            raise _NoAddress(f"{self._url} is not an http address") from error
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise PublisherUnavailable(f"{self._url}: {error or type(error).__name__}") from error


async def _answer(response: aiohttp.ClientResponse) -> Any:
    if response.status == 202:
        return await response.json()
    if response.status in _REPEATED:
        wait = _retry_after(response.headers.get("Retry-After"))
        raise PublisherUnavailable(f"{response.url}: HTTP {response.status}", wait)
    raise PublishRefused(response.status, await _problem(response))


async def _problem(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """Read a problem; whatever else answers, a proxy perhaps, tells no more than its status."""
    if "json" not in response.content_type:
        return {}
    try:
        problem = await response.json(content_type=None)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _retry_after(value: str | None) -> float:
    """Read Retry-After, in seconds (RFC 9110 section 10.2.3)."""
    if not value:
        return 0.0
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(value) - utc_now()).total_seconds()
    except (ValueError, TypeError):
        return 0.0


_backoff = wait_exponential(multiplier=0.2, max=5.0) + wait_random(0, 1)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_seconds if isinstance(error, PublisherUnavailable) else 0.0
    return max(_backoff(state), min(max(asked, 0.0), _LONGEST_WAIT_SECONDS))
