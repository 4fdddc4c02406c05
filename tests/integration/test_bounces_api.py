"""Bounces by HTTP, the list of who is left alone, the ledger that says what came back, and who is told."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from services.domain.bounces import Kind
from services.domain.passing_on import hops
from services.runtime.database import Pool
from services.subscribers.bounces.intake import LARGEST
from tests.integration.asking import errands
from tests.integration.bouncing import Mails, mails
from tests.integration.owing import Books, eventually, settings_for
from tests.integration.web import PROBLEM, Answer, Api, add_key, serving
from tests.rig import returned
from tests.rig.samples import opportunity
from tests.rig.smtp import SmtpServer

RFC822 = {"Content-Type": "message/rfc822"}


@pytest.fixture
def books(pool: Pool, database_url: str) -> Books:
    """Books of this test's database."""
    return Books(pool, settings_for(database_url))


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    """All that `omroeper up` serves."""
    async with serving(pool, whole=True) as served:
        yield served


async def hand_in(api: Api, raw: bytes, **more: Any) -> Answer:
    """Post a message that came back."""
    return await api.ask("POST", "/v1/bounces", data=raw, **{"headers": RFC822, **more})


async def release(api: Api, somebody: Mails, data: Any = None) -> Answer:
    """Release a subscription."""
    path = f"/v1/suppressions/{somebody.subscription}/release"
    return await api.ask("POST", path, data=data, headers={"Content-Type": "application/json"})


async def test_the_answer_is_the_same_for_what_is_known_and_what_is_not(api: Api, books: Books) -> None:
    somebody = await mails(books)
    known = returned.postfix((await somebody.sent()).hex)
    answers = [await hand_in(api, raw) for raw in (known, known, returned.postfix(), b"", b"\xff\x00" * 99)]
    assert [(answer.status, answer.body) for answer in answers] == [(202, {"status": "accepted"})] * 5
    assert await somebody.status() == ("disabled", "bounced")
    assert await somebody.receipts() == [("hard", "5.1.1")]


async def test_only_an_operator_hands_bounces_in_and_releases(api: Api, books: Books) -> None:
    somebody = await mails(books)
    reader, registrar = await add_key(books.pool, "read"), await add_key(books.pool, "registry", "publish")
    raw = returned.postfix((await somebody.sent()).hex)
    for key, status in ((None, 401), ("omr_no", 401), (reader, 403), (registrar, 403)):
        assert (await hand_in(api, raw, key=key)).status == status
        path = f"/v1/suppressions/{somebody.subscription}/release"
        assert (await api.ask("POST", path, key=key)).status == status
    assert (await api.get("/v1/suppressions", key=reader)).status == 200
    assert (await api.get("/v1/suppressions", key=registrar)).status == 403
    assert await somebody.receipts() == []


async def test_a_body_of_another_type_or_too_large_is_refused(api: Api) -> None:
    other = await hand_in(api, b"{}", headers={"Content-Type": "application/json"})
    large = await hand_in(api, b"x" * (LARGEST + 1))
    assert (other.status, large.status) == (415, 413)
    assert other.headers["Content-Type"] == large.headers["Content-Type"] == PROBLEM


async def test_the_list_says_who_is_left_alone_and_why(api: Api, books: Books) -> None:
    first, second = await mails(books), await mails(books)
    await first.back(await first.sent(), Kind.COMPLAINT)
    await second.back(await second.sent())
    newest = (await api.get("/v1/suppressions?limit=1")).body
    assert [item["subscriber"] for item in newest["items"]] == [second.slug]
    (item,) = (await api.get(f"/v1/suppressions?limit=1&cursor={newest['next']}")).body["items"]
    assert {**item, "id": None, "since": None} == {
        "id": None,
        "subscription": str(first.subscription),
        "subscriber": first.slug,
        "reason": "complained",
        "since": None,
        "until": None,
        "released_at": None,
        "released_by": None,
    }
    assert "@" not in str(newest)


async def test_a_release_makes_active_again_and_sends_what_was_missed(api: Api, books: Books) -> None:
    somebody = await mails(books)
    await somebody.back(await somebody.sent())
    await somebody.owe()
    answer = await release(api, somebody, b'{"requeue": true}')
    assert (answer.status, answer.body) == (
        200,
        {"subscription": str(somebody.subscription), "status": "active", "requeued": 2},
    )
    assert await somebody.status() == ("active", None)
    assert (await api.get("/v1/suppressions")).body["items"] == []
    (item,) = (await api.get("/v1/suppressions?released=true")).body["items"]
    assert (item["released_by"], item["released_at"] is not None) == ("bootstrap", True)


async def test_a_release_without_a_body_sends_nothing(api: Api, books: Books) -> None:
    somebody = await mails(books)
    await somebody.back(await somebody.sent())
    assert (await release(api, somebody)).body["requeued"] == 0
    assert (await release(api, somebody)).status == 409


async def test_a_release_of_what_is_not_there_or_asked_badly_is_refused(api: Api, books: Books) -> None:
    somebody = await mails(books)
    assert (await release(api, somebody)).status == 409
    assert (await api.ask("POST", f"/v1/suppressions/{uuid4()}/release")).status == 404
    assert (await api.ask("POST", "/v1/suppressions/x/release")).status == 422
    assert (await release(api, somebody, b'{"requeue": "yes"}')).pointers == ["/requeue"]
    assert (await release(api, somebody, b'{"again": true}')).pointers == ["/again"]


async def test_the_ledger_says_what_came_back_beside_what_was_sent(api: Api, books: Books) -> None:
    somebody = await mails(books)
    delivery = await somebody.sent()
    event = (await books.delivery(delivery))["event_id"]
    assert (await api.get(f"/v1/events/{event}")).body["deliveries"][0]["receipts"] == []
    await somebody.back(delivery, Kind.DELAYED)
    await somebody.back(delivery)
    (item,) = (await api.get(f"/v1/events/{event}")).body["deliveries"]
    assert item["state"] == "sent"
    assert [(r["kind"], r["status"]) for r in item["receipts"]] == [("delayed", None), ("hard", "5.1.1")]
    assert all(set(receipt) == {"kind", "at", "status"} for receipt in item["receipts"])


async def test_the_ledger_counts_each_that_came_back_once_by_the_gravest(api: Api, books: Books) -> None:
    some = [await mails(books, f"a{n}@start-it.example") for n in range(3)]
    event = await books.plan(data=opportunity(themes=[one.theme for one in some]))
    sent = [await one.mark_sent() for one in some]
    assert (await api.get(f"/v1/events/{event}")).body["receipts"] == {}
    for kind in (Kind.SOFT, Kind.COMPLAINT):
        await some[0].back(sent[0], kind)
    await some[1].back(sent[1])
    await some[2].back(sent[2], Kind.DELAYED)
    body = (await api.get(f"/v1/events/{event}")).body
    assert (body["states"], body["receipts"]) == ({"sent": 3}, {"complaint": 1, "hard": 1})
    assert hops(body).startswith("matched 3 → sent 3, of which 2 came back → ")


async def _told(books: Books) -> list[Any]:
    return await books.pool.fetch("SELECT kind, outcome FROM notices WHERE due_at IS NULL ORDER BY id")


@pytest.mark.parametrize(
    ("kind", "words"), [(Kind.HARD, "kwamen terug"), (Kind.COMPLAINT, "als ongewenst gemeld")]
)
async def test_the_contact_is_told_at_another_address(books: Books, kind: Kind, words: str) -> None:
    somebody = await mails(books, "info@start-it.example", contact="owner@incubator.example")
    await somebody.back(await somebody.sent(), kind)
    async with SmtpServer() as relay:
        settings = settings_for(books.settings.database_url, smtp_url=relay.url)
        async with errands(books.pool, settings):
            (mail,) = await relay.wait_for(1, seconds=60)
            await eventually(lambda: _told(books), bool, what="the notice to be settled")
    assert mail.recipients == ("owner@incubator.example",)
    assert "We mailen niet meer naar je adres" in mail.message["Subject"]
    for part in mail.message.iter_parts():
        text = part.get_content()
        assert words in " ".join(text.split())
        assert "info@start-it.example" in text
        assert "webhook" not in text.lower()


async def test_a_contact_that_is_the_same_address_is_not_mailed(books: Books) -> None:
    somebody = await mails(books, "info@start-it.example", contact="Info@start-it.example")
    await somebody.back(await somebody.sent())
    async with SmtpServer() as relay:
        settings = settings_for(books.settings.database_url, smtp_url=relay.url)
        async with errands(books.pool, settings):
            told = await eventually(lambda: _told(books), bool, what="the notice to be settled")
        assert relay.mails == []
    assert [tuple(row) for row in told] == [("bounced", "no other address is known")]
