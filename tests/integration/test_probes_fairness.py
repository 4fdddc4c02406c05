"""Nobody waits for the endpoints of somebody else: a subscriber has few probes tried at once."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from services.runtime.database import Pool
from services.storage import probes
from services.storage.probes import AT_ONCE, Answer, Row
from tests.integration.asking import add_subscriber, add_subscription, errands
from tests.integration.owing import settings_for
from tests.integration.web import Api, serving
from tests.rig.receiver import HANG, Receiver


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(pool, whole=True, webhook_allow_networks="127.0.0.0/8") as served:
        for slug in ("start-it", "imec"):
            await add_subscriber(served, slug)
        yield served


async def hooks(api: Api, slug: str, *targets: str) -> list[UUID]:
    """Add webhooks to a subscriber."""
    made = [await add_subscription(api, slug, channel="webhook", target=target) for target in targets]
    return [UUID(answer.body["id"]) for answer in made]


async def ask(pool: Pool, *subscriptions: UUID) -> None:
    """Have these tested."""
    async with pool.acquire() as connection, connection.transaction():
        for subscription_id in subscriptions:
            await probes.ask(connection, subscription_id, "test")


async def claim(pool: Pool, limit: int = 16, lease_seconds: float = 60) -> list[Row]:
    async with pool.acquire() as connection, connection.transaction():
        return await probes.claim(connection, limit=limit, lease_seconds=lease_seconds)


async def test_a_subscriber_has_few_tried_at_once_the_oldest_first(api: Api, pool: Pool) -> None:
    one, two = await hooks(api, "start-it", "https://hooks.example/1", "https://hooks.example/2")
    (other,) = await hooks(api, "imec", "https://hooks.example/3")
    await ask(pool, one, two, *[one] * 8, other)
    first = await claim(pool)
    assert sorted(row["subscription_id"] for row in first) == sorted([one, two, other])
    assert await claim(pool) == []
    async with pool.acquire() as connection, connection.transaction():
        assert await probes.answer(connection, first[0], Answer(True, None, 1))
    assert len(await claim(pool)) == (0 if first[0]["subscription_id"] == other else 1)


async def test_dispatchers_that_claim_together_keep_to_it(api: Api, pool: Pool) -> None:
    (hook,) = await hooks(api, "start-it", "https://hooks.example/1")
    await ask(pool, *[hook] * 10)
    claimed = await asyncio.gather(*(claim(pool) for _ in range(4)))
    assert sum(map(len, claimed)) == AT_ONCE


async def test_what_was_borrowed_and_never_answered_is_tried_again(api: Api, pool: Pool) -> None:
    (hook,) = await hooks(api, "start-it", "https://hooks.example/1")
    await ask(pool, *[hook] * 4)
    lost = {row["id"] for row in await claim(pool, lease_seconds=0)}
    again = {row["id"] for row in await claim(pool)}
    assert (len(lost), len(again)) == (AT_ONCE, AT_ONCE)


async def test_who_hangs_keeps_nobody_else_waiting(api: Api, pool: Pool, database_url: str) -> None:
    async with Receiver() as receiver:
        receiver.on("/hangs", HANG)
        hanging = await hooks(api, "start-it", *(receiver.url("/hangs") + f"?{n}" for n in range(2)))
        (quick,) = await hooks(api, "imec", receiver.url("/quick"))
        await ask(pool, *hanging * 10)
        settings = settings_for(database_url, secret_key="k" * 32, webhook_timeout_seconds=20.0)
        async with errands(pool, settings):
            await receiver.wait_for(AT_ONCE)
            answer = await api.ask("POST", f"/v1/subscriptions/{quick}/test", headers={"Prefer": "wait=10"})
        assert (answer.status, answer.body["ok"]) == (200, True)
        assert len(receiver.to("/hangs")) == AT_ONCE
