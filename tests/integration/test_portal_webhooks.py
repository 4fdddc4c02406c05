"""Webhooks and mailboxes added by the portal, tested, replayed, given new secrets; code that checks them."""

import json
import subprocess
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from markupsafe import escape

from services.domain.signing import sign, symmetric_secret
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import confirmations
from services.subscribers.portal import samples
from services.subscribers.portal.samples.verify import is_genuine
from tests.integration.asking import errands
from tests.integration.owing import eventually, settings_for
from tests.integration.portal_visits import House, Page, Town, Visitor, town
from tests.rig.receiver import Receiver, Reply, Request
from tests.rig.samples import opportunity

LOOPBACK = "127.0.0.0/8"


@pytest.fixture
async def here(pool: Pool) -> AsyncIterator[Town]:
    async with town(pool, webhook_allow_networks=LOOPBACK) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as opened:
        yield opened


@pytest.fixture
async def dispatcher(pool: Pool, database_url: str, here: Town) -> AsyncIterator[None]:
    settings = settings_for(database_url, secret_key="k" * 32, public_url=here.settings.public_url)
    async with errands(pool, settings):
        yield


async def row(here: Town, subscription_id: UUID) -> Any:
    return await here.pool.fetchrow("SELECT * FROM subscriptions WHERE id = $1", subscription_id)


async def newest(here: Town) -> Any:
    return await here.pool.fetchrow("SELECT * FROM subscriptions ORDER BY id DESC LIMIT 1")


async def test_a_mailbox_is_added_and_hears_nothing_until_its_owner_confirms(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    page = await visitor.fill("/portal/subscriptions/new/email", {"target": "team@Partner.Example"})
    added = await newest(here)
    assert page.to == f"/portal/subscriptions/{added['id']}?done=added"
    assert (added["target"], added["status"]) == ("team@partner.example", "pending")
    letter = (await here.letters())[-1]
    assert (letter["kind"], letter["recipient"]) == ("confirm", "team@partner.example")
    assert "bevestigd" in (await visitor.get("/portal")).words
    async with here.pool.acquire() as connection, connection.transaction():
        found = await confirmations.find(connection, here.vault, letter["shown"]["token"])
        assert found is not None
        await confirmations.confirm(connection, here.vault, found)
    assert (await row(here, added["id"]))["status"] == "active"


async def test_a_mailbox_is_asked_again_but_not_for_ever(here: Town) -> None:
    visitor = await here.signed_in(await here.house())
    await visitor.fill("/portal/subscriptions/new/email", {"target": "team@partner.example"})
    path = f"/portal/subscriptions/{(await newest(here))['id']}"
    await visitor.get(path)
    done = [(await visitor.post(f"{path}/confirm")).to.partition("done=")[2] for _ in range(4)]
    assert done == ["asked", "asked", "too-often", "too-often"]


@pytest.mark.parametrize("target", ["", "nope", "é@b.example", "a@b.example\r\nBcc: c@d.example", "x" * 300])
async def test_a_mailbox_that_is_none_is_not_added(here: Town, target: str) -> None:
    visitor = await here.signed_in(await here.house())
    page = await visitor.fill("/portal/subscriptions/new/email", {"target": target})
    assert (page.status, 'id="target-wrong"' in page.text) == (422, True)
    assert await here.count("subscriptions") == 2


async def test_what_is_there_already_is_not_added_twice(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    page = await visitor.fill("/portal/subscriptions/new/email", {"target": house.contact.upper()})
    assert (page.status, "al een abonnement" in page.words) == (422, True)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "ftp://a.example",
        "https://user:pass@a.example/",
        "javascript:alert(1)",
        "https://a b.example",
        "x" * 3000,
    ],
)
async def test_a_webhook_that_cannot_be_is_not_added(here: Town, target: str) -> None:
    visitor = await here.signed_in(await here.house())
    page = await visitor.fill("/portal/subscriptions/new/webhook", {"target": target})
    assert (page.status, 'id="target-wrong"' in page.text) == (422, True)
    assert await here.count("subscriptions") == 2


async def test_an_address_of_our_own_network_is_not_added(pool: Pool) -> None:
    async with town(pool) as here:
        visitor = await here.signed_in(await here.house())
        for target in ("http://127.0.0.1/x", "https://localhost/x", "https://169.254.169.254/latest"):
            page = await visitor.fill("/portal/subscriptions/new/webhook", {"target": target})
            assert page.status == 422


def secret_of(page: Page) -> str:
    """Read the secret where it is shown, this once."""
    return page.text.partition('id="secret" value="')[2].partition('"')[0]


def echo(request: Request) -> int | Reply | str:
    """Answer as an owner does: the challenge, or that it was received."""
    if request.method == "OPTIONS":
        return 405
    content = json.loads(request.body)
    challenge = content["data"].get("challenge") if content["type"] == "webhook.verification" else "received"
    return Reply(200, body=str(challenge).encode())


@pytest.mark.usefixtures("dispatcher")
async def test_a_webhook_is_added_proves_itself_and_is_tested(here: Town, receiver: Receiver) -> None:
    receiver.on("/hook", echo)
    house = await here.house()
    visitor = await here.signed_in(house)
    page = await visitor.fill("/portal/subscriptions/new/webhook", {"target": receiver.url("/hook")})
    secret = secret_of(page)
    assert secret.startswith("whsec_")
    added = (await newest(here))["id"]
    await eventually(
        lambda: row(here, added),
        lambda found: found["status"] == "active",
        what="the webhook to prove itself",
    )
    base = f"/portal/subscriptions/{added}"
    tools = await visitor.get(f"{base}/webhook")
    assert secret not in tools.text
    part = await visitor.post(f"{base}/test", hx_request="true")
    probe = await here.pool.fetchval(
        "SELECT id FROM probes WHERE subscription_id = $1 AND kind = 'test'", added
    )
    path = f"{base}/tests/{probe}"
    # it is there at once, or looked for until it is
    assert path in part.text or "Het werkt." in part.words
    result = await eventually(
        lambda: visitor.get(path, hx_request="true"),
        lambda page: "hx-get" not in page.text,
        what="the result of the test",
    )
    assert "Het werkt." in result.words
    assert "received" in result.words
    assert '"type":"webhook.test"' in result.words.replace(" ", "")
    (tested,) = [one for one in receiver.to("/hook") if b"webhook.test" in one.body]
    assert is_genuine(secret, tested.headers, tested.body)
    whole = await visitor.get(path)
    assert "<html" in whole.text


async def test_a_test_without_scripts_leads_to_a_page_of_its_own(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    await visitor.get(f"/portal/subscriptions/{house.webhook}/webhook")
    page = await visitor.post(f"/portal/subscriptions/{house.webhook}/test")
    assert "/tests/" in page.to
    shown = await visitor.get(page.to)
    assert "Onderweg" in shown.words
    assert "Kijk opnieuw" in shown.words


async def test_tests_are_not_asked_for_without_end(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    await visitor.get("/portal")
    path = f"/portal/subscriptions/{house.webhook}/test"
    places = [(await visitor.post(path)).to for _ in range(12)]
    assert places[-1].endswith("?done=too-often")
    assert await here.count("probes") == 10


async def test_the_result_of_a_test_is_shown_under_its_own_webhook_only(here: Town) -> None:
    first, second = await here.house(), await here.house()
    mine, theirs = await here.signed_in(first), await here.signed_in(second)
    await theirs.get("/portal")
    place = (await theirs.post(f"/portal/subscriptions/{second.webhook}/test")).to
    probe = place.rpartition("/")[2]
    assert (await mine.get(f"/portal/subscriptions/{first.webhook}/tests/{probe}")).status == 404


async def test_a_mail_subscription_has_no_webhook_tools(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    for path in ("webhook", "secret"):
        assert (await visitor.get(f"/portal/subscriptions/{house.email}/{path}")).status == 404
    assert (await visitor.post(f"/portal/subscriptions/{house.email}/test", token="x")).status == 403


@pytest.mark.parametrize(("hours", "kept"), [("0", 0), ("24", 24), ("168", 168), ("9999", 24), ("", 24)])
async def test_a_secret_is_replaced_and_shown_once(here: Town, hours: str, kept: int) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    path = f"/portal/subscriptions/{house.webhook}/secret"
    page = await visitor.fill(path, {"overlap_hours": hours})
    secret = secret_of(page)
    rows = await here.pool.fetch("SELECT sealed, expires_at FROM webhook_secrets ORDER BY created_at DESC")
    assert here.vault.open(rows[0]["sealed"]) == secret
    left = (rows[1]["expires_at"] - utc_now()).total_seconds() / 3600
    assert left == pytest.approx(kept, abs=0.1)
    assert page.headers["cache-control"] == "no-store"
    assert secret not in (await visitor.get(f"/portal/subscriptions/{house.webhook}/webhook")).text


async def sent(here: Town, house: House, state: str = "sent") -> UUID:
    """Have something sent by the webhook, as the books have it."""
    await here.books.plan(data=opportunity(title="Sensoren"))
    delivery: UUID = await here.pool.fetchval(
        "UPDATE deliveries SET state = $2::text::delivery_state, attempts = 1, settled_at = now() "
        "WHERE subscription_id = $1 RETURNING id", house.webhook, state
    )  # fmt: skip
    await here.pool.execute(
        "INSERT INTO attempts (delivery_id, number, started_at, duration_ms, outcome, code, error, excerpt) "
        "VALUES ($1, 1, '2027-01-12T08:00:00Z', 87, 'temporary', 503, 'http_503', '<b>even stuk</b>')",
        delivery,
    )
    return delivery


async def test_a_delivery_shows_what_was_sent_and_answered(here: Town) -> None:
    house = await here.house()
    delivery = await sent(here, house, "failed")
    page = await (await here.signed_in(house)).get(f"/portal/deliveries/{delivery}")
    for shown in (
        "12 jan 2027 9.00",
        "antwoordde met status 503",
        "<b>even stuk</b>",
        f"webhook-id: {delivery}",
    ):
        assert shown in page.words
    for shown in ('"type": "opportunity.published"', '"passed_on_url": "http://omroeper.example/p/', "••••"):
        assert shown in page.words
    assert "<b>" not in page.text


async def test_a_delivery_is_sent_once_more_once(here: Town) -> None:
    house = await here.house()
    delivery = await sent(here, house)
    visitor = await here.signed_in(house)
    await visitor.get("/portal")
    path = f"/portal/deliveries/{delivery}/again"
    page = await visitor.post(path)
    assert page.to.endswith("?done=again")
    assert (await visitor.post(path)).to == f"/portal/deliveries/{delivery}?done=not-again"
    assert await here.pool.fetchval("SELECT count(*) FROM deliveries WHERE replay_of = $1", delivery) == 1


async def test_what_is_paused_or_still_owed_is_not_sent_once_more(here: Town) -> None:
    house = await here.house()
    delivery = await sent(here, house)
    await here.pool.execute("UPDATE subscriptions SET status = 'paused' WHERE id = $1", house.webhook)
    visitor: Visitor = await here.signed_in(house)
    await visitor.get("/portal")
    assert (await visitor.post(f"/portal/deliveries/{delivery}/again")).to.endswith("not-again")


SECRET, OTHER = symmetric_secret(b"a" * 32), symmetric_secret(b"b" * 32)
BODY = '{"type":"opportunity.published","data":{"title":"Één café"}}'.encode()


def signed(*secrets: str, at: int | None = None) -> dict[str, str]:
    """Sign a body as we sign webhooks."""
    timestamp = int(time.time()) if at is None else at
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, "msg_1", timestamp, BODY),
    }


def cases() -> dict[str, tuple[dict[str, str], bytes, bool]]:
    """Messages, signed just now, and whether they are genuine."""
    now = int(time.time())
    return {
        "ours": (signed(SECRET), BODY, True),
        "while a secret is replaced": (signed(OTHER, SECRET), BODY, True),
        "of another secret": (signed(OTHER), BODY, False),
        "another body": (signed(SECRET), BODY + b" ", False),
        "too old": (signed(SECRET, at=now - 400), BODY, False),
        "of the future": (signed(SECRET, at=now + 400), BODY, False),
        "no signature": ({**signed(SECRET), "webhook-signature": ""}, BODY, False),
        "nonsense": ({**signed(SECRET), "webhook-signature": "v1, v1,é v2,x ,"}, BODY, False),
        "no time": ({**signed(SECRET), "webhook-timestamp": "now"}, BODY, False),
        "another id": ({**signed(SECRET), "webhook-id": "msg_2"}, BODY, False),
        "nothing": ({}, BODY, False),
    }


@pytest.mark.parametrize("name", cases())
def test_the_python_code_checks_our_signatures(name: str) -> None:
    headers, body, genuine = cases()[name]
    assert is_genuine(SECRET, headers, body) is genuine


_RUN = """
import { isGenuine } from "%s";
const cases = JSON.parse(process.argv[1]);
const found = cases.map(([headers, body]) => isGenuine("%s", headers, Buffer.from(body, "base64")));
console.log(JSON.stringify(found));
"""


@pytest.mark.usefixtures("node")
def test_the_javascript_code_checks_our_signatures() -> None:
    path = Path(samples.__file__).parent / "verify.mjs"
    messages = list(cases().values())
    given = json.dumps([(headers, b64encode(body).decode()) for headers, body, _ in messages])
    script = _RUN % (path.as_uri(), SECRET)
    ran = subprocess.run(
        ["node", "--input-type=module", "--eval", script, given],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(ran.stdout) == [genuine for *_, genuine in messages]


async def test_the_code_stands_on_the_page_as_it_was_tried(here: Town) -> None:
    house = await here.house()
    page = await (await here.signed_in(house)).get(f"/portal/subscriptions/{house.webhook}/webhook")
    for name in ("verify.py", "verify.mjs", "Verify.cs"):
        code = (Path(samples.__file__).parent / name).read_text("utf-8")
        assert str(escape(code.strip())) in page.text
