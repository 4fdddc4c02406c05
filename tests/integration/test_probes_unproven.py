"""A webhook that never proves itself: its people are told once what to do, and then it ends."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.dispatcher.sweeper import sweep
from services.runtime.database import Pool
from services.storage import probes, subscriptions
from services.storage.probes import PROOF_AGAIN, Answer
from tests.integration.asking import add_subscriber, add_subscription, mailing, text_of
from tests.integration.owing import eventually
from tests.integration.web import Api, serving

TARGET = "https://hooks.example/x"
DAYS = timedelta(days=1)


@pytest.fixture
async def hook(pool: Pool) -> UUID:
    """A webhook that waits for its proof."""
    async with serving(pool, whole=True) as api:
        return await pending(api)


async def pending(api: Api) -> UUID:
    await add_subscriber(api, contact="info@start-it.example")
    made = await add_subscription(api, channel="webhook", target=TARGET, verify=True)
    return UUID(made.body["id"])


async def use_up(pool: Pool) -> None:
    """Try until no try is left, in vain."""
    for _ in range(len(PROOF_AGAIN) + 1):
        await pool.execute("UPDATE probes SET due_at = now() - interval '1 s' WHERE done_at IS NULL")
        async with pool.acquire() as connection, connection.transaction():
            for row in await probes.claim(connection, limit=10, lease_seconds=60):
                assert await probes.answer(connection, row, Answer(False, "http_404", 1))


async def ask(pool: Pool, hook: UUID) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await probes.ask(connection, hook, "verify")


async def stands(pool: Pool, hook: UUID) -> tuple[Any, Any]:
    async with pool.acquire() as connection:
        row = await subscriptions.get(connection, hook)
    assert row is not None
    return row["status"], row["ended_reason"]


async def age(pool: Pool, by: timedelta) -> None:
    """Let time pass since it was added and tried."""
    await pool.execute("UPDATE subscriptions SET created_at = created_at - $1::interval", by)
    await pool.execute("UPDATE probes SET asked_at = asked_at - $1::interval", by)


async def test_its_people_are_told_once_what_to_do(pool: Pool, database_url: str, hook: UUID) -> None:
    await use_up(pool)
    await ask(pool, hook)
    await use_up(pool)
    assert await pool.fetchval("SELECT count(*) FROM notices") == 1
    async with mailing(pool, database_url) as relay:
        (mail,) = await relay.wait_for(1)
        outcome = await eventually(
            lambda: pool.fetchval("SELECT outcome FROM notices WHERE due_at IS NULL"), bool, what="it"
        )
    assert outcome == "told by letter: 1"
    assert mail.recipients == ("info@start-it.example",)
    assert str(mail.message["Subject"]).startswith("Je webhook is nog niet actief")
    text = " ".join(text_of(mail).split())
    for said in (TARGET, "http_404", "WebHook-Allowed-Origin", "/portal", "na 30 dagen vanzelf"):
        assert said in text


async def test_while_tries_are_left_nobody_is_told(pool: Pool, hook: UUID) -> None:
    async with pool.acquire() as connection, connection.transaction():
        (row,) = await probes.claim(connection, limit=10, lease_seconds=60)
        await probes.answer(connection, row, Answer(False, "http_404", 1))
    assert await pool.fetchval("SELECT count(*) FROM notices") == 0


async def test_it_ends_when_nobody_tried_it_for_thirty_days(pool: Pool, hook: UUID) -> None:
    await use_up(pool)
    await age(pool, 29 * DAYS)
    await sweep(pool)
    assert await stands(pool, hook) == ("pending", None)
    await age(pool, DAYS)
    await sweep(pool)
    assert await stands(pool, hook) == ("ended", "not_confirmed")


async def test_who_had_it_tried_again_has_thirty_days_more(pool: Pool, hook: UUID) -> None:
    await use_up(pool)
    await age(pool, 31 * DAYS)
    await ask(pool, hook)
    await sweep(pool)
    assert await stands(pool, hook) == ("pending", None)
    await use_up(pool)
    await sweep(pool)
    assert await stands(pool, hook) == ("pending", None)


async def test_one_that_proved_itself_stays(pool: Pool, hook: UUID) -> None:
    async with pool.acquire() as connection, connection.transaction():
        (row,) = await probes.claim(connection, limit=10, lease_seconds=60)
        await probes.answer(connection, row, Answer(True, None, 1))
    await age(pool, 99 * DAYS)
    await sweep(pool)
    assert await stands(pool, hook) == ("active", None)
