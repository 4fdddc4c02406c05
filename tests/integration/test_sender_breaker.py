"""Endpoints in trouble: the circuit breaker, its probes, and the end of hopeless ones."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from services.domain.breaker import Health
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import health, subscriptions
from tests.integration.asking import errands
from tests.integration.owing import Books, Subscribed, eventually, sending, settings_for
from tests.rig.receiver import Receiver, Reply
from tests.rig.samples import opportunity
from tests.rig.smtp import SmtpServer


async def health_of(books: Books, subscription_id: UUID) -> Health | None:
    """Read how an endpoint does; None when it is healthy."""
    async with books.pool.acquire() as connection, connection.transaction():
        return (await health.lock(connection, [subscription_id])).get(subscription_id)


async def open_for(books: Books, subscription_id: UUID, seconds: float, failures: int = 2) -> None:
    """Write down that an endpoint's breaker has opened, until so many seconds from now."""
    now = utc_now()
    known = Health(
        failures=failures,
        failing_since=now - timedelta(hours=1),
        openings=1,
        open_until=now + timedelta(seconds=seconds),
    )
    async with books.pool.acquire() as connection:
        await health.save(connection, subscription_id, known)


@pytest.fixture
def books(pool: Pool, database_url: str) -> Books:
    """Books with a breaker that opens at the second failure, for long."""
    waits = "0.1s 0.1s 0.1s 0.1s"
    return Books(
        pool,
        settings_for(database_url, breaker_failures=2, breaker_open_seconds=900.0, webhook_schedule=waits),
    )


async def test_the_breaker_opens_after_so_many_failures_in_a_row(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", 500)
        somebody = await books.subscribe(receiver.url())
        await books.plan()
        rows = await eventually(
            lambda: books.of_subscription(somebody.id),
            lambda rows: rows[0]["reason"] == "endpoint_paused",
            what="the delivery to be put off",
        )
        assert len(receiver.requests) == 2
    sick = await health_of(books, somebody.id)
    assert sick is not None
    assert sick.open_until is not None
    assert (sick.failures, sick.openings) == (2, 1)
    assert (rows[0]["state"], rows[0]["attempts"]) == ("retrying", 2)
    assert rows[0]["next_attempt_at"] == sick.open_until
    assert sick.open_until - utc_now() > timedelta(minutes=10)


async def test_a_new_delivery_to_an_open_breaker_is_put_off_untried(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        somebody = await books.subscribe(receiver.url("/sick"), wanted={"themes": ["ziek"]})
        await open_for(books, somebody.id, 900)
        await books.plan(data=opportunity(themes=["ziek"]))
        await books.until_states(somebody.id, "retrying")
        await books.until_state(await books.owe(receiver.url("/well")), "sent")
        assert receiver.to("/sick") == []
    (row,) = await books.of_subscription(somebody.id)
    assert (row["attempts"], row["reason"]) == (0, "endpoint_paused")
    assert await books.attempts(row["id"]) == []


async def test_a_half_open_breaker_lets_one_through_and_its_success_lets_all_go(books: Books) -> None:
    answer = asyncio.Event()
    put_off = "SELECT count(*) FROM deliveries WHERE reason = 'endpoint_paused'"
    async with Receiver() as receiver:
        receiver.on("/", Reply(200, after=answer))
        somebody = await books.subscribe(receiver.url())
        for _ in range(5):
            await books.plan()
        await open_for(books, somebody.id, -1)
        async with sending(books.pool, books.settings):
            await eventually(
                lambda: books.pool.fetchval(put_off), lambda n: n == 4, what="the others to be put off"
            )
            await receiver.wait_for(1, seconds=60)
            assert len(receiver.requests) == 1
            answer.set()
            await books.until_states(somebody.id, *["sent"] * 5)
    assert await health_of(books, somebody.id) is None
    assert set(receiver.ids().values()) == {1}


async def test_a_probe_that_fails_keeps_the_others_back_for_twice_as_long(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", 500)
        somebody = await books.subscribe(receiver.url())
        await open_for(books, somebody.id, -1)
        for _ in range(3):
            await books.plan()
        await eventually(
            lambda: health_of(books, somebody.id),
            lambda sick: sick is not None and sick.failures == 3,
            what="the probe's failure to be recorded",
        )
        sick = await health_of(books, somebody.id)
        assert len(receiver.requests) == 1
    assert sick is not None
    assert sick.open_until is not None
    assert sick.openings == 2
    assert timedelta(minutes=28) < sick.open_until - utc_now() <= timedelta(minutes=30)


async def test_failures_that_are_not_in_a_row_do_not_open_it(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", 500, 200)
        somebody = await books.subscribe(receiver.url())
        for turn in range(3):
            receiver.on("/", 500, 200)
            await books.plan()
            await books.until_states(somebody.id, *["sent"] * (turn + 1))
            assert await health_of(books, somebody.id) is None


async def status_of(books: Books, somebody: Subscribed) -> tuple[str, str | None]:
    """Read how a subscription stands, and why."""
    async with books.pool.acquire() as connection:
        row = await subscriptions.get(connection, somebody.id)
    assert row is not None
    return row["status"], row["status_reason"]


@pytest.mark.parametrize(
    ("failures", "hours", "ends"),
    [(49, 121, True), (49, 1, False), (10, 121, False)],
    ids=["both", "not long enough", "not often enough"],
)
async def test_disabling_needs_time_and_count(books: Books, failures: int, hours: int, ends: bool) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", 500)
        somebody = await books.subscribe(receiver.url())
        await open_for(books, somebody.id, -1, failures=failures)
        await books.pool.execute(
            "UPDATE endpoint_health SET failing_since = now() - make_interval(hours => $1)", hours
        )
        await books.plan()
        await receiver.wait_for(1, seconds=60)
        if ends:
            await books.until_states(somebody.id, "suppressed")
        else:
            await eventually(
                lambda: health_of(books, somebody.id),
                lambda sick: sick is not None and sick.failures == failures + 1,
                what="the failure to be recorded",
            )
    assert await status_of(books, somebody) == (("disabled", "dead") if ends else ("active", None))


async def test_a_gone_endpoint_is_disabled_and_what_comes_later_is_suppressed(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", 410)
        somebody = await books.subscribe(receiver.url())
        await books.plan()
        (row,) = await books.until_states(somebody.id, "failed")
        assert (row["reason"], row["attempts"]) == ("gone", 1)
        assert await status_of(books, somebody) == ("disabled", "gone")
        await books.plan()
        rows = await books.until_states(somebody.id, "failed", "suppressed")
        assert rows[1]["reason"] == "gone"
        assert len(receiver.requests) == 1


async def test_the_owner_of_a_gone_endpoint_is_told_by_mail_once(pool: Pool, database_url: str) -> None:
    async with SmtpServer() as relay, Receiver() as receiver:
        settings = settings_for(database_url, smtp_url=relay.url)
        books = Books(pool, settings)
        receiver.on("/", 410)
        refusals = iter(["451 later", "250 OK"])
        relay.answer_recipient = lambda address: next(refusals)
        async with sending(pool, settings):
            somebody = await books.subscribe(receiver.url(), contact="an@incubator.example")
            await books.plan()
            await books.until_states(somebody.id, "failed")
        async with errands(pool, settings):
            refused = "SELECT id FROM letters WHERE outcome LIKE 'smtp_4%' AND due_at IS NOT NULL"
            await eventually(lambda: pool.fetchval(refused), bool, what="the first try to be recorded")
            (mail,) = await relay.wait_for(1, seconds=60)
            told = "SELECT outcome FROM notices WHERE due_at IS NULL"
            outcome = await eventually(lambda: pool.fetchval(told), bool, what="the notice to be settled")
    assert outcome == "told by letter: 1"
    assert mail.recipients == ("an@incubator.example",)
    for part in mail.message.iter_parts():
        assert "410" in part.get_content()
        assert receiver.url() in part.get_content()
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert await pool.fetchval("SELECT count(*) FROM notices") == 1


async def test_a_mail_relay_in_trouble_is_nobodys_endpoint(pool: Pool, database_url: str) -> None:
    async with SmtpServer() as relay:
        settings = settings_for(database_url, smtp_url=relay.url, email_schedule="0.1s", breaker_failures=1)
        books = Books(pool, settings)
        relay.answer_recipient = lambda address: "450 busy"
        async with sending(pool, settings, channel="email"):
            somebody = await books.subscribe("info@incubator.example", channel="email")
            await books.plan()
            (row,) = await books.until_states(somebody.id, "failed")
    assert row["attempts"] == 2
    assert await health_of(books, somebody.id) is None
