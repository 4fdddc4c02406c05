"""The sender with real receivers: tries, waits between them, and what is written down of each."""

import json
from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from services.domain.delivery import EXCERPT_BYTES
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import subscriptions
from tests.integration.owing import Books, sending, settings_for
from tests.rig.receiver import DROP, Receiver, Reply
from tests.rig.samples import opportunity
from tests.rig.smtp import SmtpServer


@pytest.fixture
def books(pool: Pool, database_url: str) -> Books:
    """Books of this test's database."""
    return Books(pool, settings_for(database_url))


async def test_a_first_attempt_that_is_accepted_is_sent_and_told_of_in_full(books: Books) -> None:
    before = utc_now()
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", Reply(202, body=b"thank you"))
        delivery = await books.owe(receiver.url())
        row = await books.until_state(delivery, "sent")
    assert (row["attempts"], row["reason"], row["next_attempt_at"], row["lease_until"]) == (
        1,
        None,
        None,
        None,
    )
    (attempt,) = await books.attempts(delivery)
    kept = {name: attempt[name] for name in ("number", "outcome", "code", "error", "excerpt", "late")}
    assert kept == {
        "number": 1,
        "outcome": "sent",
        "code": 202,
        "error": None,
        "excerpt": "thank you",
        "late": False,
    }
    assert attempt["next_attempt_at"] is None
    assert before <= attempt["started_at"] <= receiver.requests[0].at <= row["settled_at"]
    assert timedelta(milliseconds=attempt["duration_ms"]) <= utc_now() - before


async def test_what_is_owed_before_a_sender_runs_is_sent_when_it_does(books: Books) -> None:
    async with Receiver() as receiver:
        owed = [await books.owe(receiver.url(f"/{n}")) for n in range(5)]
        async with sending(books.pool, books.settings):
            for delivery in owed:
                await books.until_state(delivery, "sent")
    assert sorted(receiver.ids().elements()) == sorted(str(delivery) for delivery in owed)


async def test_every_try_carries_the_same_id_and_body_until_one_is_accepted(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", 500, DROP, 204)
        delivery = await books.owe(receiver.url())
        row = await books.until_state(delivery, "sent")
        tries = receiver.requests
    assert row["attempts"] == 3
    assert {t.headers["webhook-id"] for t in tries} == {str(delivery)}
    assert len({t.body for t in tries}) == 1
    found = [(a["number"], a["outcome"], a["code"], a["error"]) for a in await books.attempts(delivery)]
    assert found == [
        (1, "temporary", 500, "http_500"),
        (2, "temporary", None, "connection_reset"),
        (3, "sent", 204, None),
    ]


async def test_no_try_comes_before_its_time(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", 500, 500, 200)
        delivery = await books.owe(receiver.url())
        await books.until_state(delivery, "sent")
        times = [request.at for request in receiver.requests]
    first, second, last = await books.attempts(delivery)
    for waited, attempt, wait in ((times[1], first, 0.2), (times[2], second, 0.3)):
        ended = attempt["started_at"] + timedelta(milliseconds=attempt["duration_ms"])
        assert attempt["next_attempt_at"] - ended >= timedelta(seconds=wait - 0.002)
        assert waited >= attempt["next_attempt_at"]
    assert last["next_attempt_at"] is None


async def test_a_receiver_that_asks_for_time_gets_it(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", Reply(503, {"retry-after": "7200"}))
        delivery = await books.owe(receiver.url())
        row = await books.until_state(delivery, "retrying")
    (attempt,) = await books.attempts(delivery)
    assert row["next_attempt_at"] == attempt["next_attempt_at"]
    assert row["next_attempt_at"] - attempt["started_at"] >= timedelta(hours=2)
    assert row["next_attempt_at"] - utc_now() <= timedelta(hours=2)


async def test_it_is_failed_after_the_last_try_and_never_tried_again(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", 500)
        delivery = await books.owe(receiver.url())
        row = await books.until_state(delivery, "failed")
        other = await books.owe(receiver.url("/other"))
        await books.until_state(other, "sent")
        assert len(receiver.to("/")) == 3
    assert (row["attempts"], row["reason"], row["next_attempt_at"]) == (3, "http_500", None)
    assert (await books.attempts(delivery))[-1]["next_attempt_at"] is None


async def test_what_a_receiver_says_is_kept_up_to_eight_kilobytes_of_text(books: Books) -> None:
    answer = "é".encode() + b"\x00\xff" + "é".encode() * EXCERPT_BYTES
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", Reply(200, body=answer))
        delivery = await books.owe(receiver.url())
        await books.until_state(delivery, "sent")
    (attempt,) = await books.attempts(delivery)
    assert EXCERPT_BYTES - 8 <= len(attempt["excerpt"].encode()) <= EXCERPT_BYTES
    assert attempt["excerpt"].startswith("é\N{REPLACEMENT CHARACTER}é")


async def test_it_expires_when_the_next_try_would_come_after_the_deadline(
    pool: Pool, database_url: str
) -> None:
    books = Books(pool, settings_for(database_url, webhook_schedule="2h"))
    async with Receiver() as receiver, sending(pool, books.settings):
        receiver.on("/", 500)
        deadline = (utc_now() + timedelta(hours=1)).isoformat()
        delivery = await books.owe(receiver.url(), deadline=deadline)
        row = await books.until_state(delivery, "expired")
    assert (row["attempts"], row["reason"]) == (1, "deadline")


async def test_what_waits_for_its_next_try_expires_at_the_deadline(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        receiver.on("/", Reply(429))  # at least a minute, and its deadline is later than that
        deadline = (utc_now() + timedelta(hours=1)).isoformat()
        delivery = await books.owe(receiver.url(), deadline=deadline)
        await books.until_state(delivery, "retrying")
        await books.pool.execute(
            "UPDATE deliveries SET expires_at = now(), next_attempt_at = now() WHERE id = $1", delivery
        )
        await books.until_state(delivery, "expired")
        assert len(receiver.requests) == 1


async def test_both_secrets_sign_while_one_replaces_the_other(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        somebody = await books.subscribe(receiver.url())
        new = (await books.subscribe(receiver.url("/else"), wanted={"themes": ["nothing"]})).secret
        async with books.pool.acquire() as connection, connection.transaction():
            assert await subscriptions.retire_secrets(connection, somebody.id, 24) == "v1"
            await subscriptions.add_secret(connection, somebody.id, "v1", books.vault.seal(new))
        await books.plan()
        (request,) = await receiver.wait_for(1, path="/", seconds=60)
    assert len(request.headers["webhook-signature"].split()) == 2
    for secret in (new, somebody.secret):
        assert Webhook(secret).verify(request.body, request.headers)["type"] == "opportunity.published"


async def test_a_retired_secret_signs_no_more_when_its_time_is_over(books: Books) -> None:
    async with Receiver() as receiver, sending(books.pool, books.settings):
        somebody = await books.subscribe(receiver.url())
        new = (await books.subscribe(receiver.url("/else"), wanted={"themes": ["nothing"]})).secret
        async with books.pool.acquire() as connection, connection.transaction():
            await subscriptions.retire_secrets(connection, somebody.id, 0)
            await subscriptions.add_secret(connection, somebody.id, "v1", books.vault.seal(new))
        data = opportunity()
        await books.plan(data=data)
        (request,) = await receiver.wait_for(1, path="/", seconds=60)
    assert len(request.headers["webhook-signature"].split()) == 1
    assert Webhook(new).verify(request.body, request.headers)["data"]["id"] == data["id"]
    assert json.loads(request.body)["data"]["id"] == data["id"]


async def test_a_mail_is_sent_once_and_tried_again_when_the_relay_asks_for_it(
    pool: Pool, database_url: str
) -> None:
    async with SmtpServer() as relay:
        settings = settings_for(database_url, smtp_url=relay.url, email_schedule="0.2s")
        books = Books(pool, settings)
        answers = iter(["450 greylisted", "250 OK"])
        relay.answer_recipient = lambda address: next(answers)
        async with sending(pool, settings, channel="email"):
            somebody = await books.subscribe("info@incubator.example", channel="email")
            await books.plan()
            (row,) = await books.until_states(somebody.id, "sent")
        (mail,) = relay.mails
    assert mail.recipients == ("info@incubator.example",)
    assert str(row["id"]).replace("-", "") in mail.message["Message-ID"].replace("-", "")
    assert [a["code"] for a in await books.attempts(row["id"])] == [450, 250]
