"""Demo receivers: incubators' endpoints that take webhooks, some of them failing at first."""

import hashlib
import json
from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request, Response

from services.runtime.clock import utc_now

PATH = "/demo/hooks/"
_KEPT = 500
_SHOWN_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Received:
    """A webhook that came in, and how it was answered."""

    at: datetime
    slug: str
    answered: int
    headers: dict[str, str]
    body: str


class Receivers:
    """Keeps what came in lately; a receiver's name decides how often it fails first."""

    def __init__(self) -> None:
        self.received: deque[Received] = deque(maxlen=_KEPT)
        self._tries: Counter[str] = Counter()

    def answer(self, slug: str, webhook_id: str) -> int:
        """Choose the status of an answer: every third receiver is away for one or two tries."""
        self._tries[webhook_id] += 1
        return 503 if self._tries[webhook_id] <= failures_first(slug) else 204

    def router(self) -> APIRouter:
        """Make the endpoints."""
        routes = APIRouter(include_in_schema=False)

        @routes.post(PATH + "{slug}")
        async def receive(slug: str, request: Request) -> Response:
            body = (await request.body())[:_SHOWN_BYTES].decode("utf-8", "replace")
            headers = {k: v for k, v in request.headers.items() if k.startswith("webhook-")}
            challenge = _challenge(body)
            status = 200 if challenge else self.answer(slug, headers.get("webhook-id", ""))
            self.received.appendleft(Received(utc_now(), slug[:80], status, headers, body))
            return Response(challenge, status_code=status)

        return routes


def _challenge(body: str) -> str:
    """Find what a proof asks to be said back; empty for any other event. A demo takes it unchecked."""
    try:
        event = json.loads(body)
        return str(event["data"]["challenge"]) if event["type"] == "webhook.verification" else ""
    except (ValueError, LookupError, TypeError):
        return ""


def failures_first(name: str) -> int:
    """Tell how many tries a demo receiver or mailbox refuses: 0, mostly, else 1 or 2."""
    digit = hashlib.sha256(name.encode()).digest()[0] % 6
    return digit if digit <= 2 else 0
