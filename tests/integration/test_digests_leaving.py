"""What drops out of a digest, what stays, and what a digest's mail does when it comes back or is stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from services.domain.bounces import Bounce, Kind
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import bounces, ledger, subscribers, subscriptions
from services.storage.bounces import Taken
from tests.integration.mailing import ADDRESS, Post, at, post_office, text_of
from tests.integration.owing import Subscribed
from tests.integration.web import serving
from tests.rig.samples import opportunity

MONDAY = "2027-01-11T10:00"
DUE = "2027-01-12T08:00"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
async def post(pool: Pool, database_url: str) -> AsyncIterator[Post]:
    """A relay, and the books of this test's database."""
    async with post_office(pool, database_url) as opened:
        yield opened


async def held(post: Post, act: Callable[[], Any]) -> list[Any]:
    """Send what is owed, do something while the relay has the mail but has not answered, and go on."""
    came, go_on = asyncio.Event(), asyncio.Event()

    async def answer(envelope: Any) -> str:
        came.set()
        await go_on.wait()
        return "250 OK"

    post.relay.answer = answer
    async with post.sending():
        await came.wait()
        await act()
        go_on.set()
        await post.until_settled()
    return list(post.relay.mails)


async def withdraw(post: Post, data: dict[str, Any], **when: Any) -> None:
    """Withdraw an opportunity."""
    await post.books.plan(type="opportunity.withdrawn", data={"id": data["id"]}, **when)


async def test_what_was_withdrawn_before_is_not_in_it(post: Post) -> None:
    somebody = await post.somebody()
    gone, stays = opportunity(title="Weg"), opportunity(title="Blijft")
    for data in (gone, stays):
        await post.books.plan(at=at(MONDAY), data=data)
    await post.make(DUE)
    await withdraw(post, gone)
    (mail,) = await post.mails()
    assert "Weg" not in text_of(mail)
    assert "Blijft" in text_of(mail)
    assert await post.stand(somebody) == [("cancelled", "withdrawn"), ("sent", None)]


async def test_with_nothing_left_it_is_not_sent(post: Post) -> None:
    somebody = await post.somebody()
    data = opportunity()
    await post.books.plan(at=at(MONDAY), data=data)
    await post.make(DUE)
    await withdraw(post, data)
    assert await post.mails() == []
    (carrier,) = await post.carriers()
    assert (carrier["state"], carrier["reason"]) == ("cancelled", "nothing_left")
    assert await post.stand(somebody) == [("cancelled", "withdrawn")]


async def test_what_met_its_deadline_meanwhile_is_not_in_it(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    await post.pool.execute("UPDATE deliveries SET expires_at = now() WHERE event_id IS NOT NULL")
    async with post.sending():
        await post.until_settled()
    assert await post.stand(somebody) == [("expired", "deadline")]
    assert post.relay.mails == []


async def test_who_is_being_sent_it_at_this_moment_is_told_of_the_withdrawal(post: Post) -> None:
    somebody = await post.somebody()
    data = opportunity()
    await post.books.plan(at=at(MONDAY), data=data)
    await post.make(DUE)

    await held(post, lambda: withdraw(post, data, at=at("2027-01-12T08:01")))
    assert await post.stand(somebody) == [("sent", None)] * 2
    _, mail = post.relay.mails
    assert "Opdracht ingetrokken" in text_of(mail)
    assert "Een voorstel indienen kan niet meer." in text_of(mail)


@pytest.mark.parametrize("cadence", ["daily", "weekly"])
async def test_a_withdrawal_does_not_wait_for_a_digest(post: Post, cadence: str) -> None:
    somebody = await post.somebody(cadence=cadence, digest_weekday=2)
    data = opportunity(title="Weg")
    await post.books.plan(at=at(MONDAY), data=data)
    await post.make(DUE)
    await post.mails()
    await withdraw(post, data, at=at("2027-01-12T08:01"))
    assert await post.stand(somebody) == [("sent", None), ("pending", None)]
    _, mail = await post.mails()
    assert "Opdracht ingetrokken" in text_of(mail)
    assert await post.stand(somebody) == [("sent", None)] * 2


async def test_a_withdrawal_waits_for_the_morning_where_the_night_is_quiet(post: Post) -> None:
    night = (at("2027-01-01T22:00").time(), at("2027-01-01T07:00").time())
    somebody = await post.somebody(cadence="weekly", quiet=night, digest_weekday=2)
    data = opportunity()
    await post.books.plan(at=at(MONDAY), data=data)
    await post.make(DUE)
    await post.mails()
    await withdraw(post, data, at=at("2027-01-12T23:00"))
    told = (await post.about_events(somebody))[1]
    assert (told["state"], told["reason"], told["gather_until"]) == ("retrying", "quiet_hours", None)
    assert told["next_attempt_at"] == at("2027-01-13T07:00")


async def test_who_chooses_digests_still_hears_of_a_withdrawal_at_once(post: Post) -> None:
    somebody = await post.somebody(cadence="immediate")
    data = opportunity()
    await post.books.plan(data=data)
    await post.mails()
    await withdraw(post, data)
    await change(post, somebody, lambda c: subscriptions.set_cadence(c, somebody.id, "weekly"))
    assert await post.stand(somebody) == [("sent", None), ("pending", None)]
    assert len(await post.mails()) == 2


@pytest.mark.parametrize("kind", ["closed", "awarded"])
async def test_what_costs_nobody_any_work_waits_for_the_digest(post: Post, kind: str) -> None:
    types = ["opportunity.published", f"opportunity.{kind}"]
    somebody = await post.somebody(wanted={"types": types})
    data = opportunity()
    await post.books.plan(at=at(MONDAY), data=data)
    await post.make(DUE)
    await post.mails()
    await post.books.plan(at=at("2027-01-12T09:00"), type=types[1], data={"id": data["id"]})
    assert await post.stand(somebody) == [("sent", None), ("pending", "digest")]


async def test_withdrawn_while_it_was_tried_in_vain_it_is_not_tried_again(post: Post) -> None:
    somebody = await post.somebody()
    gone, stays = opportunity(title="Weg"), opportunity(title="Blijft")
    for data in (gone, stays):
        await post.books.plan(at=at(MONDAY), data=data)
    await post.make(DUE)
    tries = 0

    async def answer(envelope: Any) -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            await withdraw(post, gone)
        return "450 4.2.0 Later" if tries == 1 else "250 OK"

    post.relay.answer = answer
    texts = [text_of(mail) for mail in await post.mails()]
    (mail,) = [text for text in texts if "Opdracht ingetrokken" not in text]
    assert "Weg" not in mail
    assert ("cancelled", "withdrawn") in await post.stand(somebody)
    assert ("sent", None) in await post.stand(somebody)


async def test_who_unsubscribes_before_it_is_sent_gets_none(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    await post.end(somebody)
    assert await post.mails() == []
    assert await post.stand(somebody) == [("cancelled", "unsubscribed")]


@pytest.mark.parametrize("leaves", [0, 1])
async def test_who_stays_at_the_address_still_gets_theirs(post: Post, leaves: int) -> None:
    one = await post.somebody(wanted={"themes": ["zorg"]})
    two = await post.somebody(wanted={"themes": ["haven"]}, beside=one)
    for theme in ("zorg", "haven"):
        await post.books.plan(at=at(MONDAY), data=opportunity(themes=[theme], title=f"Over {theme}"))
    await post.make(DUE)
    await post.end((one, two)[leaves])
    await post.make(DUE)
    (mail,) = await post.mails()
    assert f"Over {('haven', 'zorg')[leaves]}" in text_of(mail)
    assert f"Over {('zorg', 'haven')[leaves]}" not in text_of(mail)
    left, stayed = (one, two) if leaves == 0 else (two, one)
    assert await post.stand(left) == [("cancelled", "unsubscribed")]
    assert await post.stand(stayed) == [("sent", None)]


async def click(mail: Any, post: Post) -> None:
    """Unsubscribe as a mail program does: one POST to the address in the header."""
    url = mail.message["List-Unsubscribe"].strip("<>")
    async with serving(post.pool, whole=True) as api, aiohttp.ClientSession() as session:
        path = url.partition("8080")[2]
        async with session.post(api.url + path, data=ONE_CLICK) as answer:
            assert answer.status == 200


async def statuses_of(post: Post, *who: Subscribed) -> list[str]:
    """Read how subscriptions stand."""
    rows = await post.pool.fetch(
        "SELECT id, status::text FROM subscriptions WHERE id = ANY ($1::uuid[])", [each.id for each in who]
    )
    found = {row["id"]: row["status"] for row in rows}
    return [found[each.id] for each in who]


async def test_one_click_stops_the_digest_wholly_and_nothing_else(post: Post) -> None:
    one = await post.somebody()
    same = await post.somebody(beside=one)
    weekly = await post.somebody(beside=one, cadence="weekly")
    immediate = await post.somebody(beside=one, cadence="immediate")
    other = await post.somebody(beside=one, target="ander@incubator.example")
    stranger = await post.somebody(name="Een ander")
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    mails = [mail for mail in await post.mails() if mail.recipients == (ADDRESS,)]
    (mine,) = [
        mail
        for mail in mails
        if mail.message["Subject"].startswith("Je overzicht") and "aan Incubator." in text_of(mail)
    ]
    await click(mine, post)
    found = await statuses_of(post, one, same, weekly, immediate, other, stranger)
    assert found == ["ended", "ended", "active", "active", "active", "active"]


async def test_the_link_of_a_mail_by_itself_stops_that_subscription_alone(post: Post) -> None:
    one = await post.somebody(cadence="immediate")
    same = await post.somebody(beside=one, cadence="immediate", wanted={"themes": ["haven"]})
    await post.books.plan()
    (mail,) = await post.mails()
    await click(mail, post)
    assert await statuses_of(post, one, same) == ["ended", "active"]


async def change(post: Post, somebody: Subscribed, how: Callable[[Any], Any]) -> None:
    """Change a subscription, as the registry does."""
    async with post.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, somebody.id)
        await how(connection)


async def test_who_moves_gets_it_at_the_new_address(post: Post) -> None:
    one = await post.somebody()
    two = await post.somebody(beside=one)
    await post.books.plan(at=at(MONDAY), data=opportunity())
    await post.make(DUE)
    await change(post, one, lambda c: subscriptions.set_target(c, one.id, "email", "nieuw@elders.example"))
    await post.make(DUE)
    mails = await post.mails()
    assert sorted(mail.recipients[0] for mail in mails) == ["nieuw@elders.example", ADDRESS]
    assert await post.stand(one, two) == [("sent", None)] * 2


async def test_the_same_cadence_again_leaves_a_digest_as_it_is(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    await change(post, somebody, lambda c: subscriptions.set_cadence(c, somebody.id, "daily"))
    assert len(await post.mails()) == 1
    assert await post.stand(somebody) == [("sent", None)]


async def test_other_quiet_hours_leave_a_digest_as_it_is(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    night = (at("2027-01-01T22:00").time(), at("2027-01-01T07:00").time())
    await change(post, somebody, lambda c: subscriptions.set_quiet_hours(c, somebody.id, night))
    assert len(await post.mails()) == 1
    assert await post.stand(somebody) == [("sent", None)]


@pytest.mark.parametrize("made", [False, True], ids=["before it is made", "after it was made"])
async def test_who_wants_to_know_at_once_gets_what_was_gathered(post: Post, made: bool) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    if made:
        await post.make(DUE)
    await change(post, somebody, lambda c: subscriptions.set_cadence(c, somebody.id, "immediate"))
    assert await post.stand(somebody) == [("pending", None)]
    (mail,) = await post.mails()
    assert mail.message["Subject"].startswith("Nieuwe opdracht")


async def test_who_wants_a_digest_gets_what_is_owed_in_it(post: Post) -> None:
    somebody = await post.somebody(cadence="immediate")
    await post.books.plan()
    await change(post, somebody, lambda c: subscriptions.set_cadence(c, somebody.id, "weekly"))
    (row,) = await post.about_events(somebody)
    assert (row["state"], row["reason"]) == ("pending", "digest")
    assert timedelta() < row["gather_until"] - utc_now() <= timedelta(days=7, hours=1)


async def test_another_hour_counts_for_what_waits(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan()
    (before,) = await post.about_events(somebody)
    async with post.pool.acquire() as connection, connection.transaction():
        assert await subscribers.change(connection, somebody.slug, {"timezone": "Asia/Tokyo"})
    (after,) = await post.about_events(somebody)
    assert after["gather_until"] != before["gather_until"]
    assert utc_now() < after["gather_until"] < utc_now() + timedelta(hours=25)


async def bounced(post: Post, kind: Kind, status: str) -> Taken:
    """Have the last digest come back."""
    carrier = (await post.carriers())[-1]
    async with post.pool.acquire() as connection, connection.transaction():
        return await bounces.take(connection, Bounce(carrier["id"], kind, status, "No mailbox"), utc_now())


async def test_one_that_comes_back_counts_for_all_that_it_carried(post: Post) -> None:
    one = await post.somebody()
    two = await post.somebody(beside=one)
    other = await post.somebody(beside=one, target="ander@incubator.example")
    await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    await post.mails()
    rows = await post.about_events(one, two)
    carrier = next(c for c in await post.carriers() if c["subscription_id"] == one.id)
    async with post.pool.acquire() as connection, connection.transaction():
        bounce = Bounce(carrier["id"], Kind.HARD, "5.1.1", "No mailbox")
        assert await bounces.take(connection, bounce, utc_now()) is Taken.SUPPRESSED
        assert await bounces.take(connection, bounce, utc_now()) is Taken.REPEATED
    assert await statuses_of(post, one, two, other) == ["disabled", "disabled", "active"]
    async with post.pool.acquire() as connection:
        receipts = await ledger.receipts(connection, [row["id"] for row in rows])
    assert [[r["kind"] for r in receipts[row["id"]]] for row in rows] == [["hard"], ["hard"]]


async def test_a_digest_of_many_that_comes_back_is_one_mail_that_came_back(post: Post) -> None:
    somebody = await post.somebody()
    for _ in range(6):
        await post.books.plan(at=at(MONDAY))
    await post.make(DUE)
    await post.mails()
    await post.pool.execute("UPDATE deliveries SET settled_at = settled_at - interval '8 days'")
    assert await bounced(post, Kind.SOFT, "4.2.2") is Taken.NOTED
    assert await statuses_of(post, somebody) == ["active"]


async def test_a_refused_digest_suppresses_the_address(post: Post) -> None:
    somebody = await post.somebody()
    await post.books.plan(at=at(MONDAY))
    post.relay.answer_recipient = lambda address: "550 5.1.1 No such user"
    await post.make(DUE)
    await post.mails()
    assert await post.stand(somebody) == [("failed", "smtp_550")]
    assert await statuses_of(post, somebody) == ["disabled"]
