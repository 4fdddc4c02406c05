"""Reminders of deadlines, day by day by a clock of the test's own, on a real relay."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from services.dispatcher.mailings import make_due
from services.runtime.database import Pool
from services.storage import subscribers, subscriptions
from tests.integration.mailing import ADDRESS, Post, at, post_office, text_of
from tests.integration.owing import Subscribed
from tests.integration.web import serving
from tests.rig.receiver import Receiver
from tests.rig.samples import opportunity

DEADLINE = "2099-06-30T12:00:00+02:00"


@pytest.fixture
async def post(pool: Pool, database_url: str) -> AsyncIterator[Post]:
    """A relay, and the books of this test's database."""
    async with post_office(pool, database_url) as opened:
        yield opened


async def told(post: Post, data: dict[str, Any] | None = None, **how: Any) -> Subscribed:
    """Somebody who was mailed an opportunity, at once."""
    somebody = await post.somebody(**{"cadence": "immediate", **how})
    await post.books.plan(data=data or opportunity())
    await post.mails()
    post.relay.mails.clear()
    return somebody


async def subjects(post: Post) -> list[str]:
    """Send what is owed; give the subjects of the mails that came since the last look."""
    found = [mail.message["Subject"] for mail in await post.mails()]
    post.relay.mails.clear()
    return found


async def test_three_come_each_on_its_day_and_none_between(post: Post) -> None:
    await told(post, opportunity(title="Kade"))
    came = {}
    for day in range(40):
        now = at("2099-06-01T08:00") + timedelta(days=day)
        await make_due(post.pool, now - timedelta(minutes=1))
        await make_due(post.pool, now)
        await make_due(post.pool, now + timedelta(hours=5))
        if await post.pool.fetchval("SELECT count(*) FROM deliveries WHERE state = 'pending'"):
            came[now.date().isoformat()] = len(await subjects(post))
    assert came == {"2099-06-16": 1, "2099-06-25": 1, "2099-06-29": 1}


async def test_a_subscription_that_wants_no_reminders_gets_none(post: Post) -> None:
    somebody = await told(post)
    async with post.pool.acquire() as connection:
        await subscriptions.set_reminders(connection, somebody.id, False)
    await post.make("2099-06-29T08:00")
    assert await subjects(post) == []


async def test_it_says_what_ends_and_when(post: Post) -> None:
    await told(post, opportunity(title="Kade"))
    await post.make("2099-06-29T08:00")
    (mail,) = await post.mails()
    assert "Kade Stad Voorbeeld Uiterste indieningsdatum: 30 juni 2099 om 12.00 uur" in text_of(mail)
    assert mail.recipients == (ADDRESS,)
    assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


async def test_one_mail_reminds_of_all_that_ends_soonest_first(post: Post) -> None:
    somebody = await told(post, opportunity(title="Laatste", deadline="2099-06-30T15:00:00+02:00"))
    await post.books.plan(data=opportunity(title="Eerste"))
    await post.books.plan(data=opportunity(title="Over veertien", deadline="2099-07-13T15:00:00+02:00"))
    await post.books.plan(data=opportunity(title="Later", deadline="2099-07-12T15:00:00+02:00"))
    await post.mails()
    post.relay.mails.clear()
    await post.books.pool.execute("DELETE FROM reminders")
    await post.make("2099-06-29T08:00")
    (mail,) = await post.mails()
    text = text_of(mail)
    assert text.index("Eerste") < text.index("Laatste") < text.index("Over veertien")
    # its fourteenth day was yesterday, and nobody looked: it is caught up
    assert text.index("Later") < text.index("Over veertien")
    assert mail.message["Subject"] == "4 opdrachten lopen binnenkort af"
    assert len(await post.about_events(somebody)) == 4


async def test_of_days_that_were_missed_only_the_nearest_is_caught_up(post: Post) -> None:
    await told(post)
    await post.make("2099-06-27T03:00")
    assert len(await subjects(post)) == 1
    assert await post.pool.fetchval("SELECT array_agg(days) FROM reminders") == [5]
    await post.make("2099-06-28T08:00")
    assert await subjects(post) == []
    await post.make("2099-06-29T08:00")
    assert len(await subjects(post)) == 1


async def test_a_deadline_that_moved_is_reminded_of_anew(post: Post) -> None:
    data = opportunity()
    somebody = await told(post, data)
    await post.make("2099-06-25T08:00")
    assert len(await subjects(post)) == 1
    moved = {**data, "version": 2, "deadline": "2099-07-31T12:00:00+02:00"}
    await post.books.plan(type="opportunity.updated", data=moved)
    assert len(await subjects(post)) == 1
    assert await post.stand(somebody) == [("sent", None)] * 2
    await post.make("2099-06-29T08:00")
    assert await subjects(post) == []
    await post.make("2099-07-26T08:00")
    assert len(await subjects(post)) == 1


@pytest.mark.parametrize("what", ["withdrawn", "closed", "awarded"])
@pytest.mark.parametrize("when", ["before", "between"])
async def test_what_stands_no_more_is_not_reminded_of(post: Post, what: str, when: str) -> None:
    data = opportunity()
    somebody = await told(post, data)
    if when == "between":
        await post.make("2099-06-29T08:00")
    await post.books.plan(type=f"opportunity.{what}", data={"id": data["id"]})
    await post.make("2099-06-29T08:00")
    found = await subjects(post)
    assert [subject for subject in found if "Loopt" in subject or "binnenkort" in subject] == []
    assert await post.stand(somebody) == [("sent", None)] * (2 if what == "withdrawn" else 1)


async def test_only_who_was_mailed_it_is_reminded(post: Post) -> None:
    async with Receiver() as receiver:
        hook = await post.somebody(channel="webhook", cadence="immediate", target=receiver.url())
        refused = await post.somebody(cadence="immediate", target="weg@incubator.example")
        post.relay.answer_recipient = lambda address: "554 No" if "weg@" in address else "250 OK"
        await told(post)
        await post.pool.execute(
            "UPDATE deliveries SET state = 'sent', attempts = 1, settled_at = now()"
            " WHERE subscription_id = $1",
            hook.id,
        )
        post.relay.answer_recipient = lambda address: "250 OK"
        await post.make("2099-06-29T08:00")
        (mail,) = await post.mails()
    assert mail.recipients == (ADDRESS,)
    assert await post.stand(refused) == [("failed", "smtp_554")]


async def test_who_turned_one_off_does_not_get_that_one(post: Post) -> None:
    await told(post, reminder_days=[5])
    await post.make("2099-06-16T08:00")
    assert await subjects(post) == []
    await post.make("2099-06-25T08:00")
    assert len(await subjects(post)) == 1
    await post.make("2099-06-29T08:00")
    assert await subjects(post) == []


async def test_who_turns_them_on_again_is_looked_at_again(post: Post) -> None:
    somebody = await told(post, reminder_days=[])
    await post.make("2099-06-25T08:00")
    async with post.pool.acquire() as connection, connection.transaction():
        await subscribers.change(connection, somebody.slug, {"reminder_days": [5]})
    await post.make("2099-06-25T09:00")
    assert len(await subjects(post)) == 1


async def test_two_dispatchers_remind_once(post: Post) -> None:
    await told(post)
    await asyncio.gather(*(make_due(post.pool, at("2099-06-29T08:00")) for _ in range(4)))
    assert len(await subjects(post)) == 1


async def test_an_address_with_two_subscriptions_is_reminded_once_and_can_stop_both(post: Post) -> None:
    one = await post.somebody(cadence="daily")
    two = await post.somebody(beside=one, cadence="immediate", target=ADDRESS.upper())
    await post.books.plan(at=at("2099-05-01T10:00"))
    await post.make("2099-05-02T08:00")
    await post.mails()
    post.relay.mails.clear()
    await post.make("2099-06-29T08:00")
    (mail,) = await post.mails()
    link = mail.message["List-Unsubscribe"].strip("<>")
    assert link.endswith("?all=1")
    async with serving(post.pool, whole=True) as api, aiohttp.ClientSession() as session:
        path = link.partition("8080")[2]
        async with session.get(api.url + path) as page:
            assert page.status == 200
        async with session.post(api.url + path, data={"List-Unsubscribe": "One-Click"}) as answer:
            assert answer.status == 200
    rows = await post.pool.fetch("SELECT id FROM subscriptions WHERE status = 'ended' ORDER BY id")
    assert [row["id"] for row in rows] == [one.id, two.id]


async def test_who_left_is_not_reminded(post: Post) -> None:
    somebody = await told(post)
    await post.make("2099-06-29T08:00")
    await post.end(somebody)
    assert await subjects(post) == []
    await post.make("2099-06-29T09:00")
    assert await subjects(post) == []


async def test_a_new_owner_of_the_reminder_is_found_when_one_of_two_leaves(post: Post) -> None:
    one = await told(post)
    await post.somebody(beside=one, cadence="immediate")
    await post.books.plan(data=opportunity())
    await post.mails()
    post.relay.mails.clear()
    await post.make("2099-06-29T08:00")
    await post.end(one)
    await post.make("2099-06-29T08:00")
    assert len(await subjects(post)) == 1
