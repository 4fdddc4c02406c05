"""What comes back is kept beside the delivery; it may suppress the subscription, until it is released."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.dispatcher.sweeper import sweep
from services.domain.bounces import Kind
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import bounces, subscriptions
from services.storage.bounces import Taken
from tests.integration.bouncing import Mails, mails
from tests.integration.owing import Books, settings_for


@pytest.fixture
def books(pool: Pool, database_url: str) -> Books:
    """Books of this test's database."""
    return Books(pool, settings_for(database_url))


async def release(somebody: Mails, *, requeue: bool = False) -> int | None:
    """Release a subscription as an operator does."""
    async with somebody.pool.acquire() as connection, connection.transaction():
        return await bounces.release(connection, somebody.subscription, by="operator", requeue=requeue)


async def test_a_hard_bounce_suppresses_and_what_is_owed_is_held(books: Books) -> None:
    somebody = await mails(books)
    bounced, _ = await somebody.sent(), await somebody.owe()
    assert await somebody.back(bounced) is Taken.SUPPRESSED
    await somebody.owe()
    assert await somebody.status() == ("disabled", "bounced")
    assert await somebody.states() == [("sent", None), ("suppressed", "bounced"), ("suppressed", "bounced")]
    assert await somebody.receipts() == [("hard", "5.1.1")]
    (suppression,) = await somebody.suppressions()
    assert (suppression["reason"], suppression["until"], suppression["released_at"]) == (
        "bounced",
        None,
        None,
    )


async def test_a_complaint_suppresses(books: Books) -> None:
    somebody = await mails(books)
    assert await somebody.back(await somebody.sent(), Kind.COMPLAINT) is Taken.SUPPRESSED
    assert await somebody.status() == ("disabled", "complained")


@pytest.mark.parametrize("kind", [Kind.SOFT, Kind.DELAYED, Kind.OTHER])
async def test_anything_milder_is_only_kept(books: Books, kind: Kind) -> None:
    somebody = await mails(books)
    assert await somebody.back(await somebody.sent(), kind) is Taken.NOTED
    assert await somebody.status() == ("active", None)
    assert [found for found, _ in await somebody.receipts()] == [kind]


async def test_the_same_bounce_twice_at_once_is_kept_once(books: Books) -> None:
    somebody = await mails(books)
    delivery = await somebody.sent()
    taken = await asyncio.gather(*(somebody.back(delivery) for _ in range(5)))
    assert sorted(taken) == [Taken.REPEATED] * 4 + [Taken.SUPPRESSED]
    assert len(await somebody.suppressions()) == 1
    assert await somebody.pool.fetchval("SELECT count(*) FROM notices") == 1


async def test_soft_bounces_suppress_by_count_and_time_and_that_ends_by_itself(books: Books) -> None:
    somebody = await mails(books)
    assert await somebody.sent_and_back(9, 7, 5, 3) is Taken.NOTED
    assert await somebody.sent_and_back(0) is Taken.SUPPRESSED
    (suppression,) = await somebody.suppressions()
    assert timedelta(days=29) < suppression["until"] - utc_now() < timedelta(days=31)
    await sweep(somebody.pool)
    assert await somebody.status() == ("disabled", "bounced")
    await somebody.pool.execute("UPDATE suppressions SET until = now() - interval '1 second'")
    await asyncio.gather(*(sweep(somebody.pool) for _ in range(3)))
    assert await somebody.status() == ("active", None)
    assert (await somebody.suppressions())[0]["released_by"] == "expired"
    assert (await somebody.owe())["state"] == "pending"


async def test_whoever_had_paused_is_paused_again_when_it_ends(books: Books) -> None:
    somebody = await mails(books)
    await somebody.sent_and_back(9, 7, 5, 3)
    last = await somebody.sent()
    async with somebody.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, somebody.subscription)
        await subscriptions.pause(connection, somebody.subscription)
    assert await somebody.back(last, Kind.SOFT) is Taken.SUPPRESSED
    await somebody.pool.execute("UPDATE suppressions SET until = now() - interval '1 second'")
    await sweep(somebody.pool)
    assert await somebody.status() == ("paused", None)


async def test_a_hard_bounce_makes_a_suppression_stay(books: Books) -> None:
    somebody = await mails(books)
    late = await somebody.sent(days_ago=1)
    await somebody.sent_and_back(9, 7, 5, 3, 0)
    assert await somebody.back(late) is Taken.SUPPRESSED
    (suppression,) = await somebody.suppressions()
    assert suppression["until"] is None


async def test_a_mail_that_went_well_starts_the_count_again(books: Books) -> None:
    somebody = await mails(books)
    await somebody.sent_and_back(13, 12, 11, 10)
    await somebody.sent(days_ago=6)
    assert await somebody.sent_and_back(0) is Taken.NOTED
    assert await somebody.status() == ("active", None)


async def test_a_bounce_of_a_mail_sent_too_long_ago_is_not_believed(books: Books) -> None:
    somebody = await mails(books)
    assert await somebody.back(await somebody.sent(days_ago=15)) is Taken.TOO_LATE
    assert await somebody.receipts() == []


async def test_a_bounce_of_a_mail_that_was_never_sent_is_ignored(books: Books) -> None:
    somebody = await mails(books)
    delivery = await somebody.owe()
    assert await somebody.back(delivery["id"]) is Taken.UNKNOWN
    assert await somebody.back(uuid4()) is Taken.UNKNOWN
    assert await somebody.status() == ("active", None)


async def test_a_bounce_about_a_webhook_is_ignored(books: Books) -> None:
    somebody = await mails(books)
    delivery = await books.owe("http://127.0.0.1:9/")
    await books.pool.execute(
        "UPDATE deliveries SET state = 'sent', attempts = 1, settled_at = now() WHERE id = $1", delivery
    )
    assert await somebody.back(delivery) is Taken.UNKNOWN


async def test_a_bounce_that_is_back_before_its_sending_is_recorded_counts(books: Books) -> None:
    somebody = await mails(books)
    delivery = (await somebody.owe())["id"]
    await books.pool.execute(
        "UPDATE deliveries SET state = 'sending', attempts = 1, lease_until = now() + interval '1 minute'"
        " WHERE id = $1",
        delivery,
    )
    assert await somebody.back(delivery) is Taken.SUPPRESSED
    assert (await books.delivery(delivery))["cancel_reason"] == "bounced"


async def test_what_comes_back_about_an_old_address_says_nothing_of_the_new_one(books: Books) -> None:
    somebody = await mails(books)
    delivery = await somebody.sent()
    async with somebody.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, somebody.subscription)
        await subscriptions.set_target(connection, somebody.subscription, "email", "new@start-it.example")
    assert await somebody.back(delivery) is Taken.NOTED
    assert await somebody.status() == ("active", None)
    assert await somebody.back(await somebody.sent()) is Taken.SUPPRESSED


async def test_a_release_sends_what_was_missed_and_may_still_be_sent(books: Books) -> None:
    somebody = await mails(books)
    arrived, bounced = await somebody.sent(days_ago=8), await somebody.sent()
    await somebody.back(bounced)
    held, late = await somebody.owe(), await somebody.owe()
    await books.pool.execute("UPDATE deliveries SET expires_at = now() WHERE id = $1", late["id"])
    assert await release(somebody, requeue=True) == 2
    again = [row for row in await books.of_subscription(somebody.subscription) if row["replay"]]
    assert {row["replay_of"] for row in again} == {bounced, held["id"]} != {arrived}
    assert {row["state"] for row in again} == {"pending"}
    assert await somebody.status() == ("active", None)
    assert await release(somebody, requeue=True) is None


async def test_a_release_sends_nothing_unless_asked(books: Books) -> None:
    somebody = await mails(books)
    await somebody.back(await somebody.sent())
    assert await release(somebody) == 0
    assert len(await books.of_subscription(somebody.subscription)) == 1
    assert (await somebody.suppressions())[0]["released_by"] == "operator"


async def test_after_a_release_only_what_is_sent_since_counts(books: Books) -> None:
    somebody = await mails(books)
    before = await somebody.sent()
    await somebody.back(await somebody.sent())
    await release(somebody)
    assert await somebody.back(before) is Taken.NOTED
    assert await somebody.back(await somebody.sent()) is Taken.SUPPRESSED
    assert len(await somebody.suppressions()) == 2


async def _resume(somebody: Mails) -> None:
    async with somebody.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, somebody.subscription)
        await subscriptions.resume(connection, somebody.subscription)


async def _end(somebody: Mails) -> None:
    async with somebody.pool.acquire() as connection, connection.transaction():
        await subscriptions.end(connection, somebody.subscription, "unsubscribed")


@pytest.mark.parametrize(("leave", "by"), [(_resume, "now active"), (_end, "now ended")])
async def test_a_suppression_is_over_however_the_subscription_leaves_it(
    books: Books, leave: Callable[[Mails], Awaitable[None]], by: str
) -> None:
    somebody = await mails(books)
    await somebody.back(await somebody.sent())
    await leave(somebody)
    assert [row["released_by"] for row in await somebody.suppressions()] == [by]
    assert await release(somebody) is None


async def test_an_ended_subscription_is_not_suppressed(books: Books) -> None:
    somebody = await mails(books)
    delivery = await somebody.sent()
    await _end(somebody)
    assert await somebody.back(delivery) is Taken.NOTED
    assert (await somebody.status())[0] == "ended"
    assert await somebody.suppressions() == []


async def test_the_state_of_a_bounced_delivery_stays_sent(books: Books) -> None:
    somebody = await mails(books)
    delivery: UUID = await somebody.sent()
    await somebody.back(delivery)
    assert (await books.delivery(delivery))["state"] == "sent"
