"""Digests: one mail a day or week with all that came, made once, sent like anything else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.dispatcher.mailings import make_due, run_mailings
from services.dispatcher.sweeper import sweep
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import ledger, replays, statuses, subscriptions
from services.storage.replays import Wanted
from tests.integration.mailing import ADDRESS, Post, at, carrier_of, post_office, text_of
from tests.integration.owing import eventually, running
from tests.rig.samples import opportunity

MONDAY = "2027-01-11T10:00"
DUE = "2027-01-12T08:00"


@pytest.fixture
async def post(pool: Pool, database_url: str) -> AsyncIterator[Post]:
    """A relay, and the books of this test's database."""
    async with post_office(pool, database_url) as opened:
        yield opened


async def test_what_comes_during_the_day_is_one_mail_the_next_morning(post: Post) -> None:
    somebody = await post.somebody()
    for title, deadline in (("Kade", "2099-06-30"), ("Brug", "2099-01-31"), ("Sluis", None)):
        until = deadline and f"{deadline}T12:00:00+02:00"
        await post.books.plan(at=at(MONDAY), data=opportunity(title=title, deadline=until))
    assert await post.stand(somebody) == [("pending", "digest")] * 3
    await post.make("2027-01-12T07:59")
    assert await post.carriers() == []
    await post.make(DUE)
    (mail,) = await post.mails()
    assert await post.stand(somebody) == [("sent", None)] * 3
    assert mail.message["Subject"].endswith(": 3 opdrachten")
    assert mail.recipients == (ADDRESS,)
    text = text_of(mail)
    assert text.index("Brug") < text.index("Kade") < text.index("Sluis")
    assert "Je ontvangt dit omdat je alle opdrachten volgt." in text
    (carrier,) = await post.carriers()
    assert carrier["id"] == carrier_of(mail)
    assert [row["settled_at"] for row in await post.about_events(somebody)] == [carrier["settled_at"]] * 3


async def test_a_weekly_one_comes_on_its_weekday_at_its_hour(post: Post) -> None:
    somebody = await post.somebody(cadence="weekly", digest_weekday=5, digest_hour=17)
    await post.books.plan(at=at(MONDAY))
    (row,) = await post.about_events(somebody)
    assert row["gather_until"] == at("2027-01-15T17:00")
    await post.make("2027-01-15T17:00")
    (mail,) = await post.mails()
    assert "voorbije week" in text_of(mail)


async def test_nothing_came_nothing_is_sent(post: Post) -> None:
    await post.somebody()
    await post.make(DUE)
    assert await post.carriers() == []


async def test_a_run_that_was_missed_is_caught_up_in_one_mail(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    await post.books.plan(at=at("2027-01-12T10:00"))
    await post.make("2027-01-14T03:00")
    assert len(await post.mails()) == 1
    assert await post.stand(somebody) == [("sent", None)] * 2


async def test_two_dispatchers_make_one_mailing(post: Post) -> None:
    for n in range(5):
        await post.somebody(target=f"a{n}@incubator.example")
    await post.books.plan(at=at(MONDAY))
    await asyncio.gather(*(make_due(post.pool, at(DUE)) for _ in range(4)))
    await post.make(DUE)
    assert len(await post.carriers()) == 5
    mails = await post.mails()
    assert sorted(mail.recipients[0] for mail in mails) == [f"a{n}@incubator.example" for n in range(5)]


async def test_the_worker_makes_what_is_due(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=utc_now() - timedelta(days=3))
    async with running(lambda stop: run_mailings(post.pool, stop)), post.sending():
        await eventually(lambda: post.stand(somebody), lambda s: s == [("sent", None)], what="a digest")


async def test_one_mail_per_address_shows_an_opportunity_once_with_all_reasons(post: Post) -> None:
    one = await post.somebody(wanted={"themes": ["mobiliteit"]})
    two = await post.somebody(wanted={"regions": ["BE2"]}, beside=one, target=ADDRESS.replace("o", "O", 1))
    other = await post.somebody(beside=one, target="iemand@incubator.example")
    await post.books.plan(at=at(MONDAY), data=opportunity(title="Eenmaal"))
    await post.make(DUE)
    mails = await post.mails()
    assert len(mails) == 2
    (text,) = [text_of(mail) for mail in mails if mail.recipients != ("iemand@incubator.example",)]
    assert text.count("Eenmaal") == 1
    assert "thema mobiliteit. Je ontvangt dit omdat het past bij je filter: regio BE2" in text
    assert await post.stand(one, two, other) == [("sent", None)] * 3


async def test_daily_and_weekly_of_one_address_are_two_mails(post: Post) -> None:
    one = await post.somebody(digest_weekday=2)
    await post.somebody(beside=one, cadence="weekly")
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    assert len(await post.mails()) == 2


async def test_two_subscribers_at_one_address_have_a_mail_each(post: Post) -> None:
    await post.somebody(name="Een")
    await post.somebody(name="Twee")
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    assert len(await post.mails()) == 2


async def test_a_long_one_is_capped_and_says_how_many_more(post: Post) -> None:
    somebody = await post.somebody()
    for n in range(23):
        deadline = f"2099-01-{n + 1:02}T12:00:00+01:00"
        await post.books.plan(at=at(MONDAY), data=opportunity(title=f"Nummer {n}.", deadline=deadline))
    await post.make(DUE)
    (mail,) = await post.mails()
    text = text_of(mail)
    assert "Nummer 19." in text
    assert "Nummer 20." not in text
    assert "Nog 3 opdrachten in je overzicht: http://127.0.0.1:8080/portal" in text
    assert mail.message["Subject"].endswith(": 23 opdrachten")
    assert await post.stand(somebody) == [("sent", None)] * 23


async def test_what_ends_before_the_digest_goes_at_once(post: Post) -> None:
    somebody = await post.somebody(cadence="weekly")
    await post.books.plan(at=at(MONDAY), data=opportunity(deadline="2027-01-15T12:00:00+01:00"))
    (row,) = await post.about_events(somebody)
    assert (row["state"], row["gather_until"]) == ("pending", None)
    (mail,) = await post.mails()
    assert mail.message["Subject"].startswith("Nieuwe opdracht:")


async def test_a_failed_try_is_tried_again_as_the_same_mail(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    answers = iter(["451 4.7.1 Greylisted"])
    post.relay.answer = lambda envelope: next(answers, "250 OK")
    await post.make(DUE)
    (mail,) = await post.mails()
    (carrier,) = await post.carriers()
    assert (carrier["state"], carrier["attempts"], carrier["id"]) == ("sent", 2, carrier_of(mail))
    (row,) = await post.about_events(somebody)
    assert (row["state"], row["attempts"]) == ("sent", 2)
    async with post.pool.acquire() as connection:
        attempts = await ledger.attempts(connection, row["id"])
    assert [(a["number"], a["outcome"], a["code"]) for a in attempts] == [
        (1, "temporary", 451),
        (2, "sent", 250),
    ]


async def test_one_that_is_refused_fails_all_that_it_carries(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    await post.books.plan(at=at(MONDAY))
    post.relay.answer_recipient = lambda address: "554 5.7.1 Not wanted"
    await post.make(DUE)
    assert await post.mails() == []
    assert await post.stand(somebody) == [("failed", "smtp_554")] * 2


async def test_a_dispatcher_that_dies_gives_back_what_it_carried(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    # as a dispatcher does that has composed the mail, and then says no more
    (carrier,) = await post.carriers()
    await post.pool.execute(
        "UPDATE deliveries SET state = 'sending', attempts = 1, lease_until = now() - interval '1 second'"
        " WHERE id = $1",
        carrier["id"],
    )
    await post.pool.execute(
        "UPDATE deliveries SET state = 'sending', attempts = 1, lease_until = 'infinity', reason = NULL"
        " WHERE mailing_id = $1",
        carrier["carries"],
    )
    await sweep(post.pool)
    assert await post.stand(somebody) == [("pending", "digest")]
    assert len(await post.mails()) == 1
    assert await post.stand(somebody) == [("sent", None)]


async def test_a_second_digest_of_the_day_waits_for_the_next(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    await post.mails()
    await post.books.plan(at=at(MONDAY))
    await post.make("2027-01-12T08:05")
    first, second = await post.about_events(somebody)
    assert (first["state"], second["state"]) == ("sent", "pending")
    assert second["gather_until"] == at("2027-01-13T08:00")
    await post.make("2027-01-13T08:00")
    assert len(await post.mails()) == 2


async def test_carriers_are_not_in_ledgers_replays_or_the_status_stream(post: Post) -> None:
    somebody = await post.somebody()
    event = await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    await post.mails()
    (carrier,) = await post.carriers()
    async with post.pool.acquire() as connection:
        rows = await ledger.deliveries_page(connection, ledger.Which(), cursor=None, limit=100)
        counts = await ledger.counts(connection, event)
        told = await statuses.waiting(connection)
        candidates = await replays.candidates(connection, Wanted(subscriber=somebody.slug), limit=10)
        assert await ledger.delivery(connection, carrier["id"]) is None
    (row,) = rows
    assert row["event_id"] == event
    assert row["first_attempt_at"] is not None
    assert [(c["state"], c["count"]) for c in counts] == [("sent", 1)]
    assert [(t["delivery_id"], t["state"]) for t in told] == [(row["id"], "sent")]
    assert [c.id for c in candidates] == [row["id"]]


async def test_an_operator_may_send_it_before_its_digest(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    (row,) = await post.about_events(somebody)
    async with post.pool.acquire() as connection, connection.transaction():
        assert not await replays.retry_now(connection, row["id"])
    (mail,) = await post.mails()
    assert carrier_of(mail) == row["id"]


async def test_quiet_hours_do_not_hold_up_a_digest_that_was_asked_for_then(post: Post) -> None:
    night = (at("2027-01-01T22:00").time(), at("2027-01-01T09:00").time())
    somebody = await post.somebody(quiet=night)
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    await post.mails()
    assert await post.stand(somebody) == [("sent", None)]


async def test_who_resumes_has_digests_again(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    async with post.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, somebody.id)
        await subscriptions.pause(connection, somebody.id)
        await subscriptions.resume(connection, somebody.id)
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    await post.mails()
    assert await post.stand(somebody) == [("suppressed", "paused"), ("sent", None)]
