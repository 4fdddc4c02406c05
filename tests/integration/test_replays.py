"""Once more, at an operator's word: what is replayed, what stands in the way, and how it is counted."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.dispatcher import replaying
from services.dispatcher.replaying import OBSTACLES, ReplayRequest
from services.domain.breaker import Health
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.runtime.web.problems import Refused
from services.storage import health, subscriptions
from tests.integration.owing import Books, eventually, sending, settings_for
from tests.rig.receiver import Receiver
from tests.rig.samples import opportunity

NOWHERE = "http://127.0.0.1:9/"
END = "UPDATE deliveries SET state = 'failed', reason = 'http_500', attempts = 3, settled_at = now()"


@pytest.fixture
def books(pool: Pool, database_url: str) -> Books:
    """Books of this test's database."""
    return Books(pool, settings_for(database_url))


async def replay(books: Books, **wanted: Any) -> dict[str, Any]:
    """Ask for a replay, as the API does."""
    async with books.pool.acquire() as connection, connection.transaction():
        return await replaying.replay(connection, ReplayRequest.model_validate(wanted))


async def retry(books: Books, delivery_id: UUID) -> dict[str, Any]:
    """Ask for one delivery again, as the API does."""
    async with books.pool.acquire() as connection, connection.transaction():
        return await replaying.retry(connection, delivery_id)


async def test_a_replay_is_a_new_delivery_that_points_back_and_leaves_the_old_one_as_it_was(
    books: Books,
) -> None:
    async with Receiver() as receiver:
        old = await books.owe(receiver.url())
        await books.pool.execute(END)
        before = await books.delivery(old)
        answer = await replay(books, state="failed")
        new = UUID(answer["deliveries"][0]["id"])
        async with sending(books.pool, books.settings):
            row = await books.until_state(new, "sent")
    assert {name: answer[name] for name in ("dry_run", "matched", "replayed", "skipped")} == {
        "dry_run": False,
        "matched": 1,
        "replayed": 1,
        "skipped": {},
    }
    assert await books.delivery(old) == before
    assert (row["replay"], row["replay_of"], row["attempts"]) == (1, old, 1)
    kept = ("event_id", "subscription_id", "subscriber_id", "channel", "match", "expires_at")
    assert [row[name] for name in kept] == [before[name] for name in kept]
    assert receiver.ids() == {str(new): 1}


async def test_a_dry_run_says_what_would_be_and_changes_nothing(books: Books) -> None:
    for _ in range(3):
        await books.owe(NOWHERE)
    await books.pool.execute(END)
    dry = await replay(books, channel="webhook", dry_run=True)
    assert await books.pool.fetchval("SELECT count(*) FROM deliveries") == 3
    real = await replay(books, channel="webhook")
    assert (dry["matched"], dry["replayed"], dry["skipped"]) == (3, 3, {})
    assert {d["replay_of"] for d in dry["deliveries"]} == {d["replay_of"] for d in real["deliveries"]}
    assert {d["id"] for d in dry["deliveries"]} == {None}
    assert await books.pool.fetchval("SELECT count(*) FROM deliveries") == 6


async def test_every_further_replay_has_the_next_number_and_points_at_the_last_one(books: Books) -> None:
    first = await books.owe(NOWHERE)
    last, chain = first, []
    for _ in range(3):
        await books.pool.execute(f"{END} WHERE state = 'pending'")
        last = UUID((await retry(books, last))["id"])
        row = await books.delivery(last)
        chain.append((row["replay"], row["replay_of"]))
    assert [number for number, _ in chain] == [1, 2, 3]
    assert chain[0][1] == first
    with pytest.raises(Refused) as refused:
        await retry(books, first)
    assert refused.value.status == 409


async def test_two_replays_at_once_make_one(books: Books) -> None:
    for _ in range(5):
        await books.owe(NOWHERE)
    await books.pool.execute(END)
    answers = await asyncio.gather(*(replay(books, state="failed") for _ in range(4)))
    assert sum(answer["replayed"] for answer in answers) == 5
    assert await books.pool.fetchval("SELECT count(*) FROM deliveries WHERE replay = 1") == 5
    assert await books.pool.fetchval("SELECT count(*) FROM deliveries") == 10


async def obstruct(books: Books, obstacle: str, delivery: UUID) -> None:
    """Put something in the way of a delivery that has failed."""
    row = await books.delivery(delivery)
    async with books.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, row["subscription_id"])
        if obstacle == "unsubscribed":
            await subscriptions.end(connection, row["subscription_id"], "unsubscribed")
        elif obstacle == "paused":
            await subscriptions.pause(connection, row["subscription_id"])
        elif obstacle == "disabled":
            await health.disable(connection, row["subscription_id"], "gone")
        elif obstacle == "deadline":
            await connection.execute("UPDATE deliveries SET expires_at = now() WHERE id = $1", delivery)
        elif obstacle == "pending":
            await connection.execute("UPDATE subscriptions SET status = 'pending'")
    data = await books.pool.fetchval("SELECT data FROM events WHERE id = $1", row["event_id"])
    if obstacle == "withdrawn":
        await books.plan(type="opportunity.withdrawn", data={"id": data["id"]})
    if obstacle == "superseded":
        await books.plan(type="opportunity.updated", data={**data, "version": 2})


@pytest.mark.parametrize("obstacle", sorted(OBSTACLES))
async def test_what_stands_in_the_way_is_said_and_nothing_is_sent(books: Books, obstacle: str) -> None:
    delivery = await books.owe(NOWHERE)
    if obstacle == "owed":
        await books.claim()
    else:
        await books.pool.execute(END)
    await obstruct(books, obstacle, delivery)
    event = (await books.delivery(delivery))["event_id"]
    for dry_run in (True, False):
        answer = await replay(books, event=event, dry_run=dry_run)
        assert answer["skipped"] == {obstacle: {"count": 1, "why": OBSTACLES[obstacle]}}
        assert (answer["matched"], answer["replayed"], answer["deliveries"]) == (1, 0, [])
    with pytest.raises(Refused) as refused:
        await retry(books, delivery)
    assert refused.value.status == 409
    assert OBSTACLES[obstacle] in str(refused.value.detail)
    asked = "SELECT count(*) FROM deliveries WHERE event_id = $1"
    assert await books.pool.fetchval(asked, event) == 1


async def test_a_replay_asks_for_what_meets_all_that_is_given(books: Books) -> None:
    one, other = await books.subscribe(NOWHERE), await books.subscribe("a@b.example", channel="email")
    first, _ = await books.plan(), await books.plan()
    await books.pool.execute(END)
    later = (utc_now() + timedelta(minutes=1)).isoformat()
    asked: dict[str, dict[str, Any]] = {
        "event": {"event": first},
        "subscriber": {"subscriber": one.slug},
        "channel": {"channel": "email"},
        "both": {"event": first, "subscriber": other.slug},
        "neither": {"event": first, "state": "sent"},
        "since": {"since": later},
        "until": {"until": later},
    }
    answers = {name: await replay(books, dry_run=True, **wanted) for name, wanted in asked.items()}
    counts = {name: answer["matched"] for name, answer in answers.items()}
    assert counts == {
        "event": 2,
        "subscriber": 2,
        "channel": 2,
        "both": 1,
        "neither": 0,
        "since": 0,
        "until": 4,
    }
    with pytest.raises(Refused) as refused:
        await replay(books, dry_run=True)
    assert refused.value.status == 422


async def test_retrying_what_waits_makes_it_due_and_lets_it_through_an_open_breaker(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        somebody = await books.subscribe(receiver.url())
        now = utc_now()
        sick = Health(2_000, now, 1, now + timedelta(hours=1))
        async with books.pool.acquire() as connection:
            await health.save(connection, somebody.id, sick)
        await books.plan()
        (row,) = await books.until_states(somebody.id, "retrying")
        assert receiver.requests == []
        answer = await retry(books, row["id"])
        assert answer == {"id": str(row["id"]), "state": "retrying", "replay_of": None}
        row = await books.until_state(row["id"], "sent")
    assert (row["replay"], row["attempts"]) == (0, 1)


async def test_retrying_what_is_not_there_or_not_tried_yet(books: Books) -> None:
    with pytest.raises(Refused) as refused:
        await retry(books, uuid4())
    assert refused.value.status == 404
    delivery = await books.owe(NOWHERE)
    assert (await retry(books, delivery))["state"] == "pending"
    assert await books.pool.fetchval("SELECT count(*) FROM deliveries") == 1


async def test_a_replay_goes_to_where_the_subscription_points_today(books: Books) -> None:
    async with Receiver() as receiver:
        somebody = await books.subscribe(NOWHERE)
        await books.plan(data=opportunity())
        await books.pool.execute(END)
        async with books.pool.acquire() as connection, connection.transaction():
            await subscriptions.lock(connection, somebody.id)
            await subscriptions.set_target(connection, somebody.id, "webhook", receiver.url("/new"))
        await replay(books, subscriber=somebody.slug)
        async with sending(books.pool, books.settings):
            rows = await eventually(
                lambda: books.of_subscription(somebody.id),
                lambda rows: rows[-1]["state"] == "sent",
                what="the replay to be sent",
            )
    assert [row["state"] for row in rows] == ["failed", "sent"]
    assert len(receiver.to("/new")) == 1
