"""Changed opportunities: who hears of them, what the mail begins with, and what the older version becomes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.domain.reason import explain
from services.runtime.database import Pool
from services.runtime.language import speech
from services.storage import replays, subscriptions
from services.storage.replays import Wanted
from tests.integration.mailing import Post, at, post_office, text_of
from tests.integration.owing import Subscribed, sending
from tests.rig.receiver import Receiver
from tests.rig.samples import opportunity

UPDATED = "opportunity.updated"
LATER = "2099-07-31T12:00:00+02:00"
MOVED = (
    "De uiterste indieningsdatum is verplaatst van 30 juni 2099 om 12.00 uur naar 31 juli 2099 om 12.00 uur."
)


@pytest.fixture
async def post(pool: Pool, database_url: str) -> AsyncIterator[Post]:
    """A relay, and the books of this test's database."""
    async with post_office(pool, database_url) as opened:
        yield opened


async def immediate(post: Post, **how: Any) -> Subscribed:
    """Somebody who is told at once."""
    return await post.somebody(**{"cadence": "immediate", **how})


def newer(data: dict[str, Any], version: int = 2, **changes: Any) -> dict[str, Any]:
    """A later version of an opportunity."""
    return {**data, "version": version, **changes}


async def test_who_had_an_earlier_version_reads_first_what_changed(post: Post) -> None:
    data = opportunity()
    had = await immediate(post, target="eerst@incubator.example")
    await post.books.plan(data=data)
    await post.mails()
    await immediate(post, target="later@incubator.example")
    await post.books.plan(type=UPDATED, data=newer(data, deadline=LATER))
    mails = {mail.recipients[0]: text_of(mail) for mail in (await post.mails())[1:]}
    text = mails["eerst@incubator.example"]
    assert MOVED in text
    assert text.index("Wat is er gewijzigd?") < text.index("In het kort")
    assert "gewijzigd?" not in mails["later@incubator.example"]
    assert await post.stand(had) == [("sent", None)] * 2


async def test_changes_are_since_the_version_that_the_receiver_had(post: Post) -> None:
    data = opportunity()
    first = await immediate(post, target="een@incubator.example")
    await post.books.plan(data=data)
    await post.mails()
    second = await immediate(post, target="twee@incubator.example")
    # the first pauses, and misses the second version
    async with post.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, first.id)
        await subscriptions.pause(connection, first.id)
    await post.books.plan(type=UPDATED, data=newer(data, 2, title="Tweede titel"))
    await post.mails()
    async with post.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, first.id)
        await subscriptions.resume(connection, first.id)
    post.relay.mails.clear()
    await post.books.plan(type=UPDATED, data=newer(data, 3, title="Derde titel"))
    mails = {mail.recipients[0]: text_of(mail) for mail in await post.mails()}
    assert "was “Slimme sensoren voor de kade” en is nu “Derde titel”" in mails["een@incubator.example"]
    assert "was “Tweede titel” en is nu “Derde titel”" in mails["twee@incubator.example"]
    assert await post.stand(second) == [("sent", None)] * 2


async def test_who_was_told_hears_of_a_change_whatever_their_filter_says_now(post: Post) -> None:
    data = opportunity(themes=["zorg"])
    told = await immediate(post, wanted={"themes": ["zorg"]})
    never = await immediate(post, wanted={"themes": ["zorg"]})
    untyped = await immediate(post, wanted={"themes": ["zorg"], "types": ["published"]})
    async with post.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, never.id)
        await subscriptions.pause(connection, never.id)
    await post.books.plan(data=data)
    await post.mails()
    async with post.pool.acquire() as connection, connection.transaction():
        await subscriptions.lock(connection, never.id)
        await subscriptions.resume(connection, never.id)
    await post.books.plan(type=UPDATED, data=newer(data, themes=["haven"]))
    await post.mails()
    assert await post.stand(told) == [("sent", None)] * 2
    assert await post.stand(never) == [("suppressed", "paused")]
    assert await post.stand(untyped) == [("sent", None)]
    second = (await post.about_events(told))[1]
    assert second["match"] == {"told_before": True}
    assert (
        explain(second["match"], speech("nl")) == "Je ontvangt dit omdat we je deze opdracht eerder meldden."
    )
    assert "Thema's weggevallen: zorg." in text_of(post.relay.mails[-1])


@pytest.mark.parametrize("cadence", ["immediate", "daily"])
async def test_a_newer_version_takes_the_place_of_one_that_is_still_owed(post: Post, cadence: str) -> None:
    data = opportunity()
    somebody = await post.somebody(cadence=cadence)
    waits = await post.somebody(
        cadence=cadence, quiet=(at("2027-01-01T22:00").time(), at("2027-01-01T07:00").time())
    )
    for version in (1, 2, 3):
        kind = UPDATED if version > 1 else "opportunity.published"
        await post.books.plan(at=at("2027-01-11T23:00"), type=kind, data=newer(data, version))
    for each in (somebody, waits):
        stand = await post.stand(each)
        assert stand[:2] == [("cancelled", "superseded")] * 2
        assert stand[2][0] in ("pending", "retrying")
    assert [row["next_attempt_at"] for row in (await post.about_events(waits))[:2]] == [None, None]


async def test_one_being_sent_is_not_tried_again(post: Post) -> None:
    data = opportunity()
    somebody = await immediate(post)
    tries = 0

    async def answer(envelope: Any) -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            await post.books.plan(type=UPDATED, data=newer(data, deadline=LATER))
            return "450 4.2.0 Later"
        return "250 OK"

    post.relay.answer = answer
    await post.books.plan(data=data)
    (mail,) = await post.mails()
    assert await post.stand(somebody) == [("cancelled", "superseded"), ("sent", None)]
    assert "31 juli 2099" in text_of(mail)
    assert "verplaatst" not in text_of(mail)


async def test_an_older_version_that_comes_late_is_not_sent(post: Post) -> None:
    data = opportunity()
    somebody = await immediate(post)
    await post.books.plan(type=UPDATED, data=newer(data, 3))
    await post.books.plan(type=UPDATED, data=newer(data, 2))
    await post.mails()
    assert await post.stand(somebody) == [("sent", None), ("cancelled", "superseded")]


async def test_what_was_superseded_is_not_replayed(post: Post) -> None:
    data = opportunity()
    somebody = await post.somebody()
    await post.books.plan(data=data)
    await post.books.plan(type=UPDATED, data=newer(data))
    async with post.pool.acquire() as connection:
        found = await replays.candidates(connection, Wanted(subscriber=somebody.slug), limit=10)
    assert [candidate.obstacle for candidate in found] == ["superseded", "owed"]


async def test_who_does_not_follow_changes_keeps_what_is_owed(post: Post) -> None:
    data = opportunity()
    somebody = await post.somebody(wanted={"types": ["published"]})
    await post.books.plan(at=at("2027-01-11T10:00"), data=data)
    await post.books.plan(at=at("2027-01-11T11:00"), type=UPDATED, data=newer(data, title="Zoals het nu is"))
    assert await post.stand(somebody) == [("pending", "digest")]
    await post.make("2027-01-12T08:00")
    (mail,) = await post.mails()
    assert "Zoals het nu is" in text_of(mail)


async def test_a_digest_says_what_changed_since_the_last_one(post: Post) -> None:
    data = opportunity()
    await post.somebody()
    await post.books.plan(at=at("2027-01-11T10:00"), data=data)
    await post.make("2027-01-12T08:00")
    await post.mails()
    await post.books.plan(at=at("2027-01-12T10:00"), type=UPDATED, data=newer(data, deadline=LATER))
    await post.make("2027-01-13T08:00")
    text = text_of((await post.mails())[1])
    assert "Gewijzigde opdracht" in text
    assert MOVED in text


async def test_a_version_that_is_published_anew_counts_as_changed(post: Post) -> None:
    data = opportunity()
    await immediate(post)
    await post.books.plan(data=data)
    await post.mails()
    await post.books.plan(data=newer(data, deadline=LATER))
    mail = (await post.mails())[1]
    assert mail.message["Subject"].startswith("Gewijzigde opdracht")
    assert MOVED in text_of(mail)


async def test_a_webhook_says_what_changed_to_those_who_had_an_earlier_version(post: Post) -> None:
    data = opportunity()
    async with Receiver() as receiver, sending(post.pool, post.books.settings):
        had = await post.books.subscribe(receiver.url("/had"))
        await post.books.plan(data=data)
        await post.books.until_states(had.id, "sent")
        await post.books.subscribe(receiver.url("/new"))
        await post.books.plan(type=UPDATED, data=newer(data, deadline=LATER))
        (_, second) = await receiver.wait_for(2, path="/had")
        (first,) = await receiver.wait_for(1, path="/new")
    ours = json.loads(second.body)["data"]["_omroeper"]
    assert ours["changes"] == [{"field": "deadline", "from": data["deadline"], "to": LATER}]
    assert "passed_on_url" in ours
    assert "changes" not in json.loads(first.body)["data"]["_omroeper"]


async def test_a_mail_shows_no_markup_of_what_changed(post: Post) -> None:
    data = opportunity(title="Kade")
    await immediate(post)
    await post.books.plan(data=data)
    await post.mails()
    await post.books.plan(type=UPDATED, data=newer(data, title="<script>alert(1)</script>"))
    html = (await post.mails())[1].message.get_body(("html",))
    assert html is not None
    assert "<script" not in html.get_content()
    assert json.dumps("alert(1)")[1:-1] in html.get_content()
