"""Double opt-in: nobody is mailed before they say yes, and nobody can use us to bother somebody else."""

import asyncio
import base64
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.domain.limits import TooOften
from services.domain.subscriber import parse_subscription
from services.runtime.database import Pool
from services.runtime.vault import Vault
from services.storage import confirmations, left_alone, subscriptions
from services.subscribers.subscribing import subscribe
from services.subscribers.transaction import transact
from tests.integration.asking import (
    add_subscriber,
    add_subscription,
    mailing,
    send_json,
    text_of,
    token_in,
)
from tests.integration.owing import eventually
from tests.integration.web import Answer, Api, serving

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MAIL: dict[str, Any] = {"channel": "email", "target": "an@start-it.example", "verify": True}


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(pool, whole=True) as served:
        yield served


async def page(api: Api, token: str, answer: str | None = None) -> Answer:
    """Open the link, or press a button of its page, without a key."""
    if answer is None:
        return await api.ask("GET", f"/confirm/{token}", key=None)
    return await api.ask(
        "POST", f"/confirm/{token}", key=None, headers=FORM, data=f"answer={answer}".encode()
    )


async def status(pool: Pool, subscription_id: str) -> tuple[str, str | None, bool]:
    """Read how a subscription stands."""
    row = await pool.fetchrow(
        "SELECT status::text, ended_reason, confirmed_at IS NOT NULL AS confirmed "
        "FROM subscriptions WHERE id = $1",
        UUID(subscription_id),
    )
    assert row is not None
    return row["status"], row["ended_reason"], row["confirmed"]


async def asked(api: Api, pool: Pool, database_url: str, **changes: object) -> tuple[str, str]:
    """Subscribe a mailbox that is to confirm; give the subscription's id and the token it was sent."""
    async with mailing(pool, database_url, public_url=api.url) as relay:
        answer = await add_subscription(api, **{**MAIL, **changes})
        assert (answer.status, answer.body["status"]) == (201, "pending")
        (mail,) = await relay.wait_for(1)
        assert mail.recipients == (str(changes.get("target", MAIL["target"])),)
        return answer.body["id"], token_in(mail)


async def test_only_who_says_yes_is_subscribed(api: Api, pool: Pool, database_url: str) -> None:
    await add_subscriber(api, name="Start it @KBC")
    subscription, token = await asked(api, pool, database_url, cadence="daily")
    shown = await page(api, token)
    assert shown.status == 200
    assert shown.headers["Content-Language"] == "nl"
    assert shown.headers["Referrer-Policy"] == "no-referrer"
    for words in ("Start it @KBC", "start-it.example", "gebundeld in één mail per dag"):
        assert words in shown.body
    assert "an@start-it.example" not in shown.body
    for method in ("GET", "HEAD"):
        await api.ask(method, f"/confirm/{token}", key=None)
    assert await status(pool, subscription) == ("pending", None, False)
    assert "Bevestigd" in (await page(api, token, "yes")).body
    assert await status(pool, subscription) == ("active", None, True)
    assert "Bevestigd" in (await page(api, token)).body
    assert "Bevestigd" in (await page(api, token, "no")).body
    assert await status(pool, subscription) == ("active", None, True)


async def test_the_letter_is_one_that_no_mailing_list_sends(
    api: Api, pool: Pool, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await add_subscriber(api, language="en")
    seed = bytes(range(32))
    dkim_key = {"dkim_selector": "s1", "dkim_key": base64.b64encode(seed).decode()}
    async with mailing(pool, database_url, public_url=api.url, **dkim_key) as relay:
        await add_subscription(api, **MAIL)
        (mail,) = await relay.wait_for(1)
        letter = await eventually(
            lambda: pool.fetchrow("SELECT * FROM letters WHERE due_at IS NULL"), bool, what="it to be settled"
        )
    message = mail.message
    assert letter is not None
    assert message["Message-ID"] == f"<{letter['id'].hex}@opdrachten.example>"
    assert (message["Auto-Submitted"], message["Content-Language"]) == ("auto-generated", "en")
    assert message["List-Unsubscribe"] is None
    assert message["Subject"] == "Confirm that you want to receive opportunities through Start it"
    assert "Start it asked us to send public-sector opportunities" in text_of(mail)
    assert "good for 7 days" in text_of(mail)
    assert (letter["outcome"], letter["sealed"]) == ("sent", None)
    assert max(len(line) for line in mail.raw.splitlines()) <= 998
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    record = b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public)
    assert dkim.verify(mail.raw, dnsfunc=lambda name, **_: record)
    said = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("services"))
    assert f"letter {letter['id']}, confirm: sent" in said
    assert "start-it.example" not in said
    assert token_in(mail) not in said


async def test_this_was_not_me_ends_it_and_they_are_never_asked_again(
    api: Api, pool: Pool, database_url: str
) -> None:
    await add_subscriber(api)
    subscription, token = await asked(api, pool, database_url)
    assert "sturen je niets" in (await page(api, token, "no")).body
    assert await status(pool, subscription) == ("ended", "refused", False)
    assert "sturen je niets" in (await page(api, token, "yes")).body
    assert await status(pool, subscription) == ("ended", "refused", False)
    again = await add_subscription(api, **{**MAIL, "target": "An+2@Start-it.example"})
    assert again.status == 409
    assert await pool.fetchval("SELECT count(*) FROM subscriptions") == 1


async def test_a_forged_link_is_told_so_kindly(api: Api, pool: Pool, database_url: str) -> None:
    await add_subscriber(api)
    subscription, token = await asked(api, pool, database_url)
    forged = (
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        "x",
        "%00",
        "a" * 5_000,
        subscription,
        token + "%20",
    )
    for wrong in forged:
        for answer in (None, "yes", "no"):
            said = await page(api, wrong, answer)
            assert (said.status, "kennen we niet" in said.body) == (404, True), wrong
    assert await status(pool, subscription) == ("pending", None, False)


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        (FORM, b""),
        (FORM, b"answer=maybe"),
        (FORM, b"confirm=1"),
        ({"Content-Type": "application/json"}, b'{"answer": "yes"}'),
        ({"Content-Type": "text/plain"}, b"answer=yes"),
        (FORM, b"answer=yes&" + b"x" * 20_000),
        ({}, b""),
    ],
)
async def test_what_is_no_answer_changes_nothing(
    api: Api, pool: Pool, database_url: str, headers: dict[str, str], data: bytes
) -> None:
    await add_subscriber(api)
    subscription, token = await asked(api, pool, database_url)
    said = await api.ask("POST", f"/confirm/{token}", key=None, headers=headers, data=data)
    assert (said.status, "niets veranderd" in said.body) == (400, True)
    assert await status(pool, subscription) == ("pending", None, False)


async def test_a_stale_link_confirms_nothing(api: Api, pool: Pool, database_url: str) -> None:
    await add_subscriber(api)
    subscription, token = await asked(api, pool, database_url)
    await pool.execute("UPDATE confirmations SET expires_at = now()")
    for answer in (None, "yes", "no"):
        assert "werkt niet meer" in (await page(api, token, answer)).body
    assert await status(pool, subscription) == ("pending", None, False)
    async with pool.acquire() as connection:
        assert (await confirmations.lapse(connection), await confirmations.lapse(connection)) == (1, 0)
    assert await status(pool, subscription) == ("ended", "not_confirmed", False)


async def test_a_link_is_good_for_the_address_it_was_sent_to_only(
    api: Api, pool: Pool, database_url: str
) -> None:
    await add_subscriber(api)
    subscription, token = await asked(api, pool, database_url, target="thief@evil.example")
    moved = await send_json(
        api, "PATCH", f"/v1/subscriptions/{subscription}", {"target": "victim@bank.example"}
    )
    assert moved.status == 200
    assert "werkt niet meer" in (await page(api, token, "yes")).body
    assert await status(pool, subscription) == ("pending", None, False)


async def test_an_owner_moved_while_the_button_is_pressed_is_not_confirmed(pool: Pool, api: Api) -> None:
    await add_subscriber(api)
    subscription = UUID((await add_subscription(api, **MAIL)).body["id"])
    async with pool.acquire() as connection, connection.transaction():
        assert not await subscriptions.confirm(connection, subscription, "somebody@else.example")
        assert await subscriptions.confirm(connection, subscription, "an@start-it.example")
        assert not await subscriptions.confirm(connection, subscription, "an@start-it.example")


async def test_a_letter_can_be_sent_again_and_any_of_the_links_is_good_once(
    api: Api, pool: Pool, database_url: str
) -> None:
    await add_subscriber(api)
    async with mailing(pool, database_url, public_url=api.url) as relay:
        subscription = (await add_subscription(api, **MAIL)).body["id"]
        again = await send_json(api, "POST", f"/v1/subscriptions/{subscription}/verify")
        assert (again.status, again.body) == (202, {"id": subscription, "status": "pending"})
        first, second = (token_in(mail) for mail in await relay.wait_for(2))
    assert first != second
    assert "Bevestigd" in (await page(api, first, "yes")).body
    assert "Bevestigd" in (await page(api, second, "no")).body
    assert await status(pool, subscription) == ("active", None, True)
    answer = await send_json(api, "POST", f"/v1/subscriptions/{subscription}/verify")
    assert answer.status == 409


async def sign_ups(pool: Pool, api: Api, targets: Iterator[tuple[str, UUID]]) -> Counter[str]:
    """Sign mailboxes up as the API and the portal do, ten at a time; count how that went."""
    vault, went = Vault(api.settings), Counter[str]()

    async def some() -> None:
        for target, subscriber in targets:
            wanted = parse_subscription({**MAIL, "target": target}, ())
            try:
                await transact(pool, lambda c, s=subscriber, w=wanted: subscribe(c, vault, s, w, "nl"))  # type: ignore[misc]
                went["asked"] += 1
            except TooOften:
                went["refused"] += 1

    await asyncio.gather(*(some() for _ in range(10)))
    return went


async def rows(pool: Pool) -> set[int]:
    """Count the rows that asking leaves behind."""
    tables = ("subscriptions", "confirmations", "letters")
    return {await pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


async def test_ten_thousand_sign_ups_to_one_mailbox_are_three_mails(
    pool: Pool, api: Api, database_url: str
) -> None:
    for number in range(20):
        await add_subscriber(api, f"incubator-{number}")
    subscribers = [row["id"] for row in await pool.fetch("SELECT id FROM subscribers")]
    spelled = ("victim@bank.example", "Victim@Bank.Example", "victim+{}@bank.example")
    targets = ((spelled[n % 3].format(n), subscribers[n % 20]) for n in range(10_000))
    went = await sign_ups(pool, api, targets)
    assert went == {"asked": confirmations.OF_A_MAILBOX.most, "refused": 9_997}
    assert await rows(pool) == {3}
    answer = await add_subscription(api, "incubator-1", **{**MAIL, "target": "victim@bank.example"})
    assert (answer.status, 0 < int(answer.headers["Retry-After"]) <= 86_400) == (429, True)
    async with mailing(pool, database_url) as relay:
        await eventually(
            lambda: pool.fetchval("SELECT count(*) FROM letters WHERE due_at IS NOT NULL"),
            lambda due: due == 0,
            what="all letters to be settled",
        )
        assert len(relay.mails) == 3


async def test_ten_thousand_sign_ups_by_one_subscriber_are_twenty_mails(pool: Pool, api: Api) -> None:
    await add_subscriber(api)
    subscriber = await pool.fetchval("SELECT id FROM subscribers")
    went = await sign_ups(pool, api, ((f"p{n}@x{n}.example", subscriber) for n in range(10_000)))
    assert went == {"asked": confirmations.OF_A_SUBSCRIBER.most, "refused": 9_980}
    assert await rows(pool) == {20}


@pytest.mark.parametrize("language", ["nl", "en"])
async def test_a_name_is_text_on_the_page_and_in_the_mail(
    api: Api, pool: Pool, database_url: str, language: str
) -> None:
    name = "<script>alert(1)</script>%(x)s {{ 7 * 7 }} \u202egnp.exe " + "w" * 100
    await add_subscriber(api, name=name, language=language)
    async with mailing(pool, database_url, public_url=api.url) as relay:
        await add_subscription(api, **MAIL)
        (mail,) = await relay.wait_for(1)
    shown = (await page(api, token_in(mail))).body
    html = mail.message.get_body(("html",))
    assert html is not None
    for text in (shown, html.get_content()):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;%(x)s {{ 7 * 7 }}" in text
        assert "<script" not in text
    assert "\u202e" not in mail.message["Subject"]
    assert len(mail.message["Subject"]) <= 150
    assert "<bdi>" in shown


@pytest.mark.parametrize(
    "target",
    [
        "a@b.example\r\nBcc: victim@bank.example",
        "a@b.example\nSubject: x",
        "a@b.example, victim@bank.example",
        "<a@b.example>",
        "a@b.example>\r\nRCPT TO:<victim@bank.example",
    ],
)
async def test_no_header_is_put_in_by_an_address(api: Api, pool: Pool, target: str) -> None:
    await add_subscriber(api)
    assert (await add_subscription(api, **{**MAIL, "target": target})).pointers == ["/target"]
    assert await pool.fetchval("SELECT count(*) FROM letters") == 0


async def test_only_hashes_of_the_link_and_the_mailbox_are_kept(
    api: Api, pool: Pool, database_url: str
) -> None:
    await add_subscriber(api)
    _, token = await asked(api, pool, database_url)
    await eventually(
        lambda: pool.fetchval("SELECT count(*) FROM letters WHERE sealed IS NOT NULL"),
        lambda sealed: sealed == 0,
        what="the letter to be forgotten",
    )
    for table in ("confirmations", "letters"):
        for row in await pool.fetch(f"SELECT {table}::text AS whole FROM {table}"):
            assert token not in row["whole"]
            assert "start-it.example" not in row["whole"]
            assert not re.search(token.encode().hex(), row["whole"])


async def test_who_asked_to_be_left_alone_is_asked_first_and_may_come_back(
    api: Api, pool: Pool, database_url: str
) -> None:
    vault = Vault(api.settings)
    async with pool.acquire() as connection:
        await left_alone.add(connection, vault, "an@start-it.example", "complained")
    await add_subscriber(api)
    assert (await add_subscription(api, **{**MAIL, "verify": False})).status == 409
    subscription, token = await asked(api, pool, database_url)
    await page(api, token, "yes")
    assert (await status(pool, subscription))[0] == "active"
    assert await pool.fetchval("SELECT count(*) FROM left_alone") == 0
