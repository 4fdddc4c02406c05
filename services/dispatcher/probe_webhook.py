"""Tries a webhook because somebody asked: with a test event, or to have it prove whose it is.

Everything goes through the guarded sessions, is signed as deliveries are, and judged by the same tables.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

import aiohttp
from yarl import URL

from services.dispatcher.channels.webhook import (
    USER_AGENT,
    answered,
    body_of,
    excerpt_of,
    failed,
    signed_headers,
)
from services.dispatcher.egress import Sessions
from services.dispatcher.sample import OPPORTUNITY
from services.domain.delivery import Outcome, Permanent, Sent, Temporary, storable
from services.domain.proof import RATE, answers, consents, origin_of
from services.runtime.clock import utc_now
from services.runtime.settings import Settings
from services.runtime.vault import new_token
from services.storage.probes import Answer

_SLOTS = 8
_OPTIONS_SECONDS = 8.0
_SHOWN_BODY_CHARACTERS = 8_000


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request, as text, and what came of it."""

    request: str
    outcome: Outcome


class WebhookProber:
    """Tries webhooks out."""

    def __init__(self, settings: Settings) -> None:
        self._origin = origin_of(settings.public_url)
        self._sessions = Sessions(
            settings.allowed_networks, limit=_SLOTS, timeout_seconds=settings.webhook_timeout_seconds
        )

    async def test(self, probe_id: UUID, target: str, secrets: tuple[str, ...]) -> Answer:
        """Post a test event, and tell what came back."""
        begun = time.perf_counter()
        exchange = await self._post(probe_id, target, secrets, "webhook.test", OPPORTUNITY)
        return _answer(exchange, begun)

    async def verify(self, probe_id: UUID, target: str, secrets: tuple[str, ...]) -> Answer:
        """Have an endpoint consent, or else answer a challenge (services/domain/proof.py)."""
        begun = time.perf_counter()
        consent = await self._consent(target)
        if isinstance(consent.outcome, Sent | Permanent):
            return _answer(consent, begun)
        nonce = new_token()
        exchange = await self._post(probe_id, target, secrets, "webhook.verification", {"challenge": nonce})
        outcome = exchange.outcome
        if isinstance(outcome, Sent) and not answers(outcome.excerpt, nonce):
            outcome = Temporary("challenge_not_answered", outcome.code, outcome.excerpt)
        request = f"{consent.request}\n\n{exchange.request}"
        return _answer(replace(exchange, request=request, outcome=outcome), begun)

    async def close(self) -> None:
        """Give back connections."""
        await self._sessions.close()

    async def _consent(self, target: str) -> _Exchange:
        """Ask by OPTIONS; `Sent` is consent, anything else is none."""
        headers = {
            "user-agent": USER_AGENT,
            "webhook-request-origin": self._origin,
            "webhook-request-rate": RATE,
        }
        request = _request("OPTIONS", target, headers)
        try:
            url = URL(target)
            timeout = aiohttp.ClientTimeout(total=_OPTIONS_SECONDS)
            asking = self._sessions.to(url).options(
                url, headers=headers, allow_redirects=False, timeout=timeout
            )
            async with asking as response:
                said = _said(response)
                agreed = consents(response.headers, self._origin)
                outcome: Outcome = (
                    Sent(response.status, said) if agreed else Temporary("no_consent", response.status, said)
                )
        except ValueError:
            outcome = Permanent("bad_url")
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            outcome = failed(error)
        return _Exchange(request, outcome)

    async def _post(
        self, probe_id: UUID, target: str, secrets: tuple[str, ...], kind: str, data: Mapping[str, object]
    ) -> _Exchange:
        now = utc_now()
        body = body_of(kind, now, data)
        try:
            signing = (str(probe_id), int(now.timestamp()), body, secrets)
            headers = signed_headers(*signing, origin=self._origin)
        except ValueError:
            return _Exchange("", Permanent("bad_secret"))
        request = _request("POST", target, headers, body)
        try:
            url = URL(target)
            posting = self._sessions.to(url).post(url, data=body, headers=headers, allow_redirects=False)
            async with posting as response:
                outcome = answered(response.status, await excerpt_of(response), None)
        except ValueError:
            outcome = Permanent("bad_url")
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            outcome = failed(error)
        return _Exchange(request, outcome)


def _answer(exchange: _Exchange, begun: float) -> Answer:
    outcome = exchange.outcome
    return Answer(
        ok=isinstance(outcome, Sent),
        error=None if isinstance(outcome, Sent) else outcome.error,
        duration_ms=round((time.perf_counter() - begun) * 1000),
        code=outcome.code,
        request=exchange.request.replace("\x00", ""),
        answer=storable(outcome.excerpt),
    )


def _request(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> str:
    """Write a request down, for whoever owns the other side; signatures are no secrets."""
    lines = [f"{method} {target}", *(f"{name}: {value}" for name, value in headers.items())]
    text = body.decode()[:_SHOWN_BODY_CHARACTERS]
    return "\n".join([*lines, "", text] if text else lines)


def _said(response: aiohttp.ClientResponse) -> str:
    """Write down what an endpoint said of who may send, and how much."""
    names = ("WebHook-Allowed-Origin", "WebHook-Allowed-Rate")
    return "\n".join(f"{name}: {response.headers[name]}" for name in names if name in response.headers)
