"""`/v1/subscriptions/{id}/test` and `/verify`: has a subscription tried, and its owner asked.

The dispatcher tries it; whoever asks gets the answer if it comes while they wait.
"""

import asyncio
import re
import time
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from services.runtime.database import Connection, Pool
from services.runtime.vault import Vault
from services.runtime.web.auth import Guard
from services.runtime.web.problems import Refused
from services.storage import probes, subscriptions
from services.subscribers import answers
from services.subscribers.consent import refusals
from services.subscribers.subscribing import ask_owner
from services.subscribers.transaction import transact

#: A webhook has 20 seconds to answer, and a dispatcher must hear of it first.
WAIT_SECONDS = 25.0
_LOOK_SECONDS = 0.2
_WAIT = re.compile(r"\bwait=([0-9]{1,4})\b")
_Prefer = Annotated[str, Header(max_length=200, description="`wait=5`: wait so many seconds, 25 at most")]


class Probe(BaseModel):
    """Something tried because somebody asked; `status` is waiting or done."""

    id: UUID
    kind: Literal["test", "verify"]
    status: Literal["waiting", "done"]
    asked_at: datetime
    done_at: datetime | None
    ok: bool | None = Field(description="For a mail: handed to the relay")
    code: int | None
    error: str | None
    duration_ms: int | None
    request: str | None = Field(description="What was sent, without secrets")
    answer: str | None = Field(description="What came back, up to 8 kB")


class Asked(BaseModel):
    """The owner of a mailbox was asked, by a letter."""

    id: UUID
    status: Literal["pending"] = "pending"


_TRIED: dict[int | str, dict[str, Any]] = {
    200: {"model": Probe, "description": "What came of it"},
    202: {"description": "It is tried still; `Location` says where the answer will be"},
}


def router(pool: Pool, vault: Vault, guard: Guard) -> APIRouter:
    """Make the routes by which subscriptions are tried."""
    routes = APIRouter(prefix="/v1/subscriptions/{subscription_id}", tags=["subscriptions"])
    refused = answers.problems(404, 409, 422, 429)

    @routes.post("/test", dependencies=[guard.needs("registry")], responses={**refused, **_TRIED})
    async def test_subscription(subscription_id: UUID, response: Response, prefer: _Prefer = "") -> Probe:
        """Send a test: a signed `webhook.test` event, or a test mail. Works unless it has ended.

        Answers 200 with what came of it, or 202 when that takes longer than 25 seconds, or than you prefer.
        """
        probe_id = await transact(pool, lambda connection: _ask_test(connection, subscription_id))
        return await _answer(pool, probe_id, response, patience(prefer))

    @routes.post("/verify", dependencies=[guard.needs("registry")], responses={**refused, **_TRIED})
    async def verify_subscription(
        subscription_id: UUID, response: Response, prefer: _Prefer = ""
    ) -> Probe | Asked:
        """Ask the owner of a pending subscription once more; active as soon as they agree.

        A webhook is asked for consent by OPTIONS, or else has to answer a signed challenge. The owner of
        a mailbox gets a letter, and the answer is 202.
        """
        probe_id = await transact(pool, lambda connection: _ask_owner(connection, vault, subscription_id))
        if probe_id is None:
            response.status_code = 202
            return Asked(id=subscription_id)
        return await _answer(pool, probe_id, response, patience(prefer))

    @routes.get(
        "/probes/{probe_id}",
        dependencies=[guard.needs("read", "registry", "operate")],
        responses=answers.problems(404, 422),
    )
    async def show_probe(subscription_id: UUID, probe_id: UUID) -> Probe:
        """Show what came of a test or a proof."""
        async with pool.acquire() as connection:
            row = await probes.find(connection, probe_id)
        if row is None or row["subscription_id"] != subscription_id:
            raise Refused(404, "There is no test or proof of this subscription with this id.")
        return described(row)

    return routes


def patience(prefer: str) -> float:
    """Read for how many seconds to wait from a Prefer header (RFC 7240 section 4.3), within our own limit.

    >>> patience("respond-async, wait=5"), patience("")
    (5.0, 25.0)
    """
    found = _WAIT.search(prefer)
    return min(float(found[1]), WAIT_SECONDS) if found else WAIT_SECONDS


async def wait_for(pool: Pool, probe_id: UUID, seconds: float = WAIT_SECONDS) -> probes.Row | None:
    """Wait until a probe has its answer, for so long at most; None if it has none yet."""
    end = time.monotonic() + seconds
    while True:
        async with pool.acquire() as connection:
            row = await probes.result(connection, probe_id)
        if row is not None or time.monotonic() > end:
            return row
        await asyncio.sleep(_LOOK_SECONDS)


def described(row: probes.Row) -> Probe:
    """Write a probe down."""
    fields = {name: row[name] for name in Probe.model_fields.keys() - {"status"}}
    return Probe(**fields, status="done" if row["done_at"] else "waiting")


async def _answer(pool: Pool, probe_id: UUID, response: Response, seconds: float) -> Probe:
    row = await wait_for(pool, probe_id, seconds)
    if row is None:
        async with pool.acquire() as connection:
            row = await probes.find(connection, probe_id)
    if row is None:
        raise Refused(404, "The subscription was erased meanwhile.")
    if row["done_at"] is None:
        response.status_code = 202
        response.headers["Location"] = f"/v1/subscriptions/{row['subscription_id']}/probes/{probe_id}"
    return described(row)


async def _ask_test(connection: Connection, subscription_id: UUID) -> UUID:
    await _standing(connection, subscription_id)
    return await probes.ask(connection, subscription_id, "test")


async def _ask_owner(connection: Connection, vault: Vault, subscription_id: UUID) -> UUID | None:
    row = await _standing(connection, subscription_id)
    if row["status"] != "pending":
        raise Refused(409, f"The subscription is {row['status']}; only a pending one has its owner asked.")
    with refusals():
        return await ask_owner(connection, vault, subscription_id, row["channel"])


async def _standing(connection: Connection, subscription_id: UUID) -> subscriptions.Row:
    row = await subscriptions.lock(connection, subscription_id)
    if row is None:
        raise Refused(404, "There is no subscription with this id.")
    if row["status"] == "ended":
        raise Refused(409, "The subscription has ended, for good; make a new one.")
    return row
