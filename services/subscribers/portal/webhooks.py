"""`/portal/subscriptions/{id}/webhook`: tools for who builds the other end.

Test it, see what was sent and answered, replace the secret, copy code that checks our signature.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from services.domain.limits import TooOften
from services.runtime.database import Connection
from services.storage import portal, probes, subscriptions
from services.subscribers.portal import words
from services.subscribers.portal.overview import title_of
from services.subscribers.portal.subscriptions import live
from services.subscribers.portal.visits import Missing, SignedIn, Visit
from services.subscribers.subscribing import give_secret

_SAMPLES = Path(__file__).parent / "samples"
_SHOWN = 20
#: How long the secrets of before sign along with a new one.
OVERLAPS = (0, 24, 168)


def add(routes: APIRouter) -> None:
    """Add the tools."""
    _tools(routes)
    _tests(routes)
    _secret(routes)


def _tools(routes: APIRouter) -> None:
    @routes.get("/portal/subscriptions/{subscription_id}/webhook")
    async def show_tools(subscription_id: UUID, visit: SignedIn) -> Response:
        async with visit.site.pool.acquire() as connection:
            row = await _webhook(connection, visit, subscription_id)
            shown = await _shown(connection, visit, row)
        return visit.page("webhook", subscription=row, samples=samples(), **shown)


def _tests(routes: APIRouter) -> None:
    @routes.post("/portal/subscriptions/{subscription_id}/test")
    async def test(subscription_id: UUID, visit: SignedIn) -> Response:
        base = f"/portal/subscriptions/{subscription_id}"
        try:
            probe = await visit.change(lambda connection: _ask(connection, visit, subscription_id))
        except TooOften:
            return visit.to(f"{base}/webhook?done=too-often")
        if "hx-request" in visit.request.headers:
            return await _result(visit, subscription_id, probe)
        return visit.to(f"{base}/tests/{probe}")

    @routes.get("/portal/subscriptions/{subscription_id}/tests/{probe_id}")
    async def show_test(subscription_id: UUID, probe_id: UUID, visit: SignedIn) -> Response:
        return await _result(visit, subscription_id, probe_id)


def _secret(routes: APIRouter) -> None:
    @routes.get("/portal/subscriptions/{subscription_id}/secret")
    async def ask_for_new_secret(subscription_id: UUID, visit: SignedIn) -> Response:
        row = await visit.read(lambda connection: _webhook(connection, visit, subscription_id))
        return visit.page("secret", subscription=row, overlaps=OVERLAPS)

    @routes.post("/portal/subscriptions/{subscription_id}/secret")
    async def new_secret(subscription_id: UUID, visit: SignedIn) -> Response:
        hours = int(visit.form.chosen("overlap_hours", [str(hours) for hours in OVERLAPS], "24"))
        row, secret = await visit.change(lambda c: _rotate(c, visit, subscription_id, hours))
        return visit.page("secret_once", subscription=row, secret=secret, overlap_hours=hours)


@lru_cache(maxsize=1)
def samples() -> tuple[tuple[str, str], ...]:
    """Give the code that checks a signature, by the name of its language."""
    files = {"Python": "verify.py", "JavaScript": "verify.mjs", "C#": "Verify.cs"}
    return tuple((name, (_SAMPLES / file).read_text("utf-8")) for name, file in files.items())


async def _webhook(connection: Connection, visit: Visit, subscription_id: UUID) -> portal.Row:
    row = await live(connection, visit, subscription_id)
    if row["channel"] != "webhook":
        raise Missing
    return row


async def _shown(connection: Connection, visit: Visit, row: portal.Row) -> dict[str, Any]:
    subscription_id = row["id"]
    sent = await portal.lately(connection, visit.subscriber_id, subscription_id=subscription_id, limit=_SHOWN)
    tried = await probes.latest(connection, subscription_id, _SHOWN)
    return {
        "standing": words.subscription(row, visit.speech, visit.zone),
        "sent": [
            (item, title_of(item, visit.speech), words.delivery(item, visit.speech, visit.zone))
            for item in sent
        ],
        "tried": [(item, words.error(item["error"], visit.speech)) for item in tried],
        "secrets": await portal.secrets(connection, subscription_id),
    }


async def _ask(connection: Connection, visit: Visit, subscription_id: UUID) -> UUID:
    await _webhook(connection, visit, subscription_id)
    return await probes.ask(connection, subscription_id, "test")


async def _result(visit: Visit, subscription_id: UUID, probe_id: UUID) -> Response:
    async with visit.site.pool.acquire() as connection:
        row = await _webhook(connection, visit, subscription_id)
        probe = await probes.find(connection, probe_id)
    if probe is None or probe["subscription_id"] != subscription_id:
        raise Missing
    name = "test_result" if "hx-request" in visit.request.headers else "test"
    error = words.error(probe["error"], visit.speech)
    return visit.page(name, subscription=row, probe=probe, error=error)


async def _rotate(
    connection: Connection, visit: Visit, subscription_id: UUID, overlap_hours: int
) -> tuple[portal.Row, str]:
    row = await _webhook(connection, visit, subscription_id)
    await subscriptions.lock(connection, subscription_id)
    kind = await subscriptions.retire_secrets(connection, subscription_id, overlap_hours) or "v1"
    return row, await give_secret(connection, visit.site.vault, subscription_id, kind)
