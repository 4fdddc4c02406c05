"""Who is owed what, and what is not sent at all: planned through the storage modules."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import health, subscriptions
from tests.integration.owing import Books, eventually, settings_for
from tests.rig.samples import opportunity

NOWHERE = "http://127.0.0.1:9/"
TYPES = [f"opportunity.{what}" for what in ("published", "updated", "withdrawn", "closed", "awarded")]


@pytest.fixture
def books(pool: Pool, database_url: str) -> Books:
    """Books of this test's database."""
    return Books(pool, settings_for(database_url))


async def stand(books: Books, subscription_id: Any) -> list[tuple[str, str | None]]:
    """Read how a subscription's deliveries stand, and why."""
    return [(row["state"], row["reason"]) for row in await books.of_subscription(subscription_id)]


async def test_who_names_no_types_hears_of_what_is_pushed_and_who_names_them_of_those(books: Books) -> None:
    plain = await books.subscribe(NOWHERE)
    all_types = await books.subscribe(NOWHERE, wanted={"types": TYPES})
    updates = await books.subscribe(NOWHERE, wanted={"types": ["opportunity.updated"]})
    data = opportunity()
    for kind in TYPES:
        await books.plan(type=kind, data=data)
        await books.pool.execute(
            "UPDATE deliveries SET state = 'sent', attempts = 1, settled_at = now() WHERE state = 'pending'"
        )
    asked = "SELECT e.type FROM deliveries d JOIN events e ON e.id = event_id WHERE subscription_id = $1"
    heard = [
        {row["type"] for row in await books.pool.fetch(asked, somebody.id)}
        for somebody in (plain, all_types, updates)
    ]
    assert heard == [set(TYPES[:3]), set(TYPES), {"opportunity.updated"}]


async def test_why_it_is_owed_is_kept_with_the_delivery(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE, wanted={"regions": ["BE2"], "themes": ["mobiliteit", "zorg"]})
    await books.plan(data=opportunity(themes=["mobiliteit"], regions=["BE211"]))
    (row,) = await books.of_subscription(somebody.id)
    assert row["match"] == {"regions": ["BE2"], "themes": ["mobiliteit"]}


async def test_nothing_is_sent_to_who_paused_or_was_disabled_and_the_ledger_says_so(books: Books) -> None:
    paused, disabled = await books.subscribe(NOWHERE), await books.subscribe(NOWHERE)
    async with books.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, paused.id)
        await subscriptions.pause(connection, paused.id)
        assert await health.disable(connection, disabled.id, "gone")
    await books.plan()
    assert await stand(books, paused.id) == [("suppressed", "paused")]
    assert await stand(books, disabled.id) == [("suppressed", "gone")]


async def test_pausing_suppresses_what_is_owed_and_resuming_brings_nothing_back(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE)
    await books.plan()
    async with books.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, somebody.id)
        await subscriptions.pause(connection, somebody.id)
        await subscriptions.resume(connection, somebody.id)
    await books.plan()
    assert await stand(books, somebody.id) == [("suppressed", "paused"), ("pending", None)]


async def test_who_ended_is_owed_nothing(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE)
    async with books.pool.acquire() as connection, connection.transaction():
        await subscriptions.end(connection, somebody.id, "unsubscribed")
    await books.plan()
    assert await stand(books, somebody.id) == []


async def test_an_opportunity_past_its_deadline_is_not_announced(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE)
    await books.plan(data=opportunity(deadline=(utc_now() - timedelta(seconds=1)).isoformat()))
    assert await stand(books, somebody.id) == [("expired", "deadline")]


async def test_a_withdrawal_without_a_version_takes_back_all_that_came_before_it(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE)
    data = opportunity(version=2)
    await books.plan(data=data)
    await books.plan(type="opportunity.withdrawn", data={"id": data["id"]})
    await books.plan(type="opportunity.updated", data={**data, "version": 3})
    assert await stand(books, somebody.id) == [("cancelled", "withdrawn"), ("pending", None)]


async def test_an_opportunity_withdrawn_before_it_came_is_not_announced(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE)
    data = opportunity(version=2)
    await books.plan(type="opportunity.withdrawn", data={"id": data["id"], "version": 2})
    await books.plan(data=data)
    await books.plan(type="opportunity.updated", data={**data, "version": 3})
    assert await stand(books, somebody.id) == [("cancelled", "withdrawn"), ("pending", None)]


async def test_a_withdrawal_stops_what_is_owed_and_tells_those_who_were_told(books: Books) -> None:
    told, waits, retries = [await books.subscribe(NOWHERE) for _ in range(3)]
    data = opportunity()
    await books.plan(data=data)
    await books.pool.execute(
        "UPDATE deliveries SET state = 'sent', attempts = 1, settled_at = now() WHERE subscription_id = $1",
        told.id,
    )
    await books.pool.execute(
        "UPDATE deliveries SET state = 'retrying', attempts = 1, next_attempt_at = now()"
        " WHERE subscription_id = $1",
        retries.id,
    )
    await books.plan(type="opportunity.withdrawn", data={"id": data["id"]})
    assert await stand(books, told.id) == [("sent", None), ("pending", None)]
    assert await stand(books, waits.id) == [("cancelled", "withdrawn")]
    assert await stand(books, retries.id) == [("cancelled", "withdrawn")]


async def test_a_withdrawal_of_an_older_version_leaves_the_newer_one_owed(books: Books) -> None:
    somebody = await books.subscribe(NOWHERE)
    data = opportunity(version=3)
    await books.plan(data=data)
    await books.plan(type="opportunity.withdrawn", data={"id": data["id"], "version": 2})
    assert await stand(books, somebody.id) == [("pending", None)]


@pytest.mark.parametrize(("how", "state"), [("unsubscribed", "cancelled"), ("paused", "suppressed")])
async def test_who_stops_at_the_moment_of_planning_is_not_sent_anything(
    books: Books, how: str, state: str
) -> None:
    somebody = await books.subscribe(NOWHERE)
    waiting = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    async with books.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        if how == "paused":
            await subscriptions.lock(connection, somebody.id)
            await subscriptions.pause(connection, somebody.id)
        else:
            await subscriptions.end(connection, somebody.id, how)
        planned = asyncio.create_task(books.plan())
        await eventually(lambda: books.pool.fetchval(waiting), bool, what="the planner to wait for a lock")
        await transaction.commit()
        await planned
    assert await stand(books, somebody.id) == [(state, how)]
