"""Tests and proofs of webhooks and mailboxes, by the guarded dispatcher, asked for through the API."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from standardwebhooks import Webhook as Oracle

from services.domain.opportunity import parse_opportunity
from services.runtime.database import Pool
from services.runtime.vault import Vault
from services.storage import probes, subscribers, subscriptions
from services.storage.probes import PROOF_AGAIN, Answer
from tests.integration.asking import add_subscriber, add_subscription, errands, mailing, send_json, text_of
from tests.integration.owing import eventually, settings_for
from tests.integration.web import Answer as HttpAnswer
from tests.integration.web import Api, serving
from tests.rig.receiver import DROP, HANG, Plan, Receiver, Reply, Request
from tests.rig.smtp import SmtpServer

LOOPBACK = "127.0.0.0/8"
ORIGIN = "opdrachten.example"


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(
        pool, whole=True, webhook_allow_networks=LOOPBACK, public_url=f"https://{ORIGIN}/x"
    ) as served:
        await add_subscriber(served)
        yield served


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as opened:
        yield opened


@pytest.fixture
async def dispatcher(pool: Pool, database_url: str, api: Api) -> AsyncIterator[None]:
    settings = settings_for(
        database_url, secret_key="k" * 32, public_url=api.settings.public_url, webhook_timeout_seconds=1.0
    )
    async with errands(pool, settings):
        yield


def echoing(**more: Any) -> Plan:
    """Answer a challenge as an owner does, and nothing else."""

    def answer(request: Request) -> int | Reply | str:
        if request.method == "OPTIONS":
            return 405
        nonce = json.loads(request.body)["data"]["challenge"]
        return Reply(body=json.dumps({"challenge": nonce, **more}).encode())

    return answer


async def hook(api: Api, receiver: Receiver, path: str = "/hook", **more: Any) -> dict[str, Any]:
    """Add a webhook; give what the API answers."""
    answer = await add_subscription(api, channel="webhook", target=receiver.url(path), **more)
    assert answer.status == 201, answer.body
    return dict(answer.body)


async def settled(pool: Pool, subscription: str) -> Any:
    """Wait until a subscription's first proof has its answer, and read that."""

    async def first() -> Any:
        async with pool.acquire() as connection:
            return (await probes.latest(connection, UUID(subscription), 10))[-1]

    return await eventually(first, lambda row: row["done_at"], what="the proof")


async def standing(pool: Pool, subscription: str) -> tuple[str, str | None]:
    async with pool.acquire() as connection:
        row = await subscriptions.get(connection, UUID(subscription))
    assert row is not None
    assert (row["confirmed_at"] is not None) == (row["status"] == "active")
    return row["status"], row["status_reason"]


async def ask(api: Api, subscription: str, what: str, wait: int = 25) -> HttpAnswer:
    return await api.ask(
        "POST", f"/v1/subscriptions/{subscription}/{what}", headers={"Prefer": f"wait={wait}"}
    )


@pytest.mark.usefixtures("dispatcher")
@pytest.mark.parametrize("allowed", [ORIGIN, "*", ORIGIN.upper()])
@pytest.mark.parametrize("status", [200, 204, 405, 500])
async def test_an_endpoint_consents_by_options_whatever_its_status(
    api: Api, pool: Pool, receiver: Receiver, allowed: str, status: int
) -> None:
    consent = {"WebHook-Allowed-Origin": allowed, "WebHook-Allowed-Rate": "100"}
    receiver.on("/hook", Reply(status, consent))
    made = await hook(api, receiver, verify=True)
    assert made["status"] == "pending"
    row = await settled(pool, made["id"])
    assert await standing(pool, made["id"]) == ("active", None)
    (request,) = receiver.requests
    assert request.method == "OPTIONS"
    assert request.headers["webhook-request-origin"] == ORIGIN
    assert request.headers["webhook-request-rate"] == "120"
    assert (row["ok"], row["code"]) == (True, status)
    assert row["answer"] == f"WebHook-Allowed-Origin: {allowed}\nWebHook-Allowed-Rate: 100"


@pytest.mark.usefixtures("dispatcher")
async def test_otherwise_it_answers_a_signed_challenge(api: Api, pool: Pool, receiver: Receiver) -> None:
    receiver.on("/hook", echoing())
    made = await hook(api, receiver, verify=True)
    assert (await settled(pool, made["id"]))["ok"]
    assert await standing(pool, made["id"]) == ("active", None)
    options, post = receiver.requests
    assert (options.method, post.method) == ("OPTIONS", "POST")
    verified = Oracle(made["secret"]).verify(post.body, post.headers)
    assert verified["type"] == "webhook.verification"
    assert set(verified) == {"type", "timestamp", "data"}
    assert set(verified["data"]) == {"challenge"}
    answer = await ask(api, made["id"], "verify")
    assert answer.status == 409


@pytest.mark.usefixtures("dispatcher")
@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (200, "challenge_not_answered"),
        (lambda request: Reply(body=request.body), "challenge_not_answered"),
        (Reply(headers={"WebHook-Allowed-Origin": "other.example"}), "challenge_not_answered"),
        (404, "http_404"),
        (410, "gone"),
        (Reply(302, {"Location": "/other"}), "redirect"),
        (DROP, "connection_reset"),
        (HANG, "timeout"),
    ],
)
async def test_without_proof_it_stays_pending_says_why_and_is_asked_again_later(
    api: Api, pool: Pool, receiver: Receiver, plan: Plan, why: str
) -> None:
    receiver.on("/hook", plan)
    receiver.on("/other", Reply(headers={"WebHook-Allowed-Origin": "*"}))
    made = await hook(api, receiver, verify=True)
    row = await settled(pool, made["id"])
    assert (row["ok"], row["error"]) == (False, why)
    assert await standing(pool, made["id"]) == ("pending", why)
    assert receiver.to("/other") == []
    waits = await pool.fetchrow("SELECT again, due_at - now() AS wait FROM probes WHERE done_at IS NULL")
    assert waits is not None
    assert waits["again"] == 1
    assert timedelta(0) < waits["wait"] <= PROOF_AGAIN[0]


@pytest.mark.usefixtures("dispatcher")
async def test_asked_again_on_demand_it_can_prove_itself_after_all(
    api: Api, pool: Pool, receiver: Receiver
) -> None:
    receiver.on("/hook", 404)
    made = await hook(api, receiver, verify=True)
    await settled(pool, made["id"])
    receiver.on("/hook", echoing())
    answer = await ask(api, made["id"], "verify")
    assert (answer.status, answer.body["ok"], answer.body["status"]) == (200, True, "done")
    assert await standing(pool, made["id"]) == ("active", None)
    assert await pool.fetchval("SELECT count(*) FROM probes") == 2


async def test_by_itself_it_is_asked_a_few_times_within_a_day(
    api: Api, pool: Pool, receiver: Receiver
) -> None:
    await hook(api, receiver, verify=True)
    waits = []
    for _ in range(20):
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "UPDATE probes SET due_at = now() - interval '1 s' WHERE done_at IS NULL"
            )
            for row in await probes.claim(connection, limit=10, lease_seconds=60):
                assert await probes.answer(connection, row, Answer(False, "http_404", 1))
                assert not await probes.answer(connection, row, Answer(True, None, 1))
        due = await pool.fetchval("SELECT due_at - clock_timestamp() FROM probes WHERE due_at IS NOT NULL")
        waits.append(due)
    assert [w is not None for w in waits] == [True] * len(PROOF_AGAIN) + [False] * (20 - len(PROOF_AGAIN))
    assert sum(PROOF_AGAIN, timedelta()) <= timedelta(days=1)


async def test_who_moves_the_target_while_it_is_proven_proves_nothing(
    api: Api, pool: Pool, receiver: Receiver
) -> None:
    made = await hook(api, receiver, "/mine", verify=True)
    async with pool.acquire() as connection:
        (row,) = await probes.claim(connection, limit=10, lease_seconds=60)
    moved = {"target": receiver.url("/victim")}
    assert (await send_json(api, "PATCH", f"/v1/subscriptions/{made['id']}", moved)).status == 200
    async with pool.acquire() as connection, connection.transaction():
        await probes.answer(connection, row, Answer(True, None, 1))
    assert (await standing(pool, made["id"]))[0] == "pending"


@pytest.mark.usefixtures("dispatcher")
@pytest.mark.parametrize("status", ["active", "pending", "paused", "disabled"])
async def test_a_test_event_is_signed_marked_and_explained(
    api: Api, pool: Pool, receiver: Receiver, status: str
) -> None:
    made = await hook(api, receiver)
    await pool.execute(
        "UPDATE subscriptions SET status = $1::text::subscription_status, status_reason = 'gone'", status
    )
    receiver.on("/hook", Reply(202, body=b"thank you"))
    answer = await ask(api, made["id"], "test")
    assert answer.status == 200
    (request,) = receiver.requests
    sent = Oracle(made["secret"]).verify(request.body, request.headers)
    assert sent["type"] == "webhook.test"
    assert sent["data"]["title"]["nl"].startswith("TEST")
    assert parse_opportunity(sent["data"])
    probe = answer.body
    assert (probe["ok"], probe["code"], probe["error"], probe["answer"]) == (True, 202, None, "thank you")
    assert probe["duration_ms"] >= 0
    assert request.headers["webhook-id"] == probe["id"]
    assert request.headers["webhook-request-origin"] == ORIGIN
    assert probe["request"].startswith(f"POST {receiver.url('/hook')}\n")
    assert request.body.decode() in probe["request"]
    assert made["secret"] not in json.dumps(probe)
    shown = await api.get(f"/v1/subscriptions/{made['id']}/probes/{probe['id']}")
    assert (shown.status, shown.body) == (200, probe)
    row = await pool.fetchrow(
        "SELECT status::text, (SELECT count(*) FROM deliveries) AS n FROM subscriptions"
    )
    assert row is not None
    assert (row["status"], row["n"]) == (status, 0)


@pytest.mark.usefixtures("dispatcher")
@pytest.mark.parametrize(
    ("plan", "code", "why"),
    [
        (500, 500, "http_500"),
        (410, 410, "gone"),
        (Reply(301, {"Location": "/x"}), 301, "redirect"),
        (HANG, None, "timeout"),
    ],
)
async def test_a_failed_test_says_why_and_disables_nothing(
    api: Api, pool: Pool, receiver: Receiver, plan: Plan, code: int | None, why: str
) -> None:
    made = await hook(api, receiver)
    receiver.on("/hook", plan)
    probe = (await ask(api, made["id"], "test")).body
    assert (probe["ok"], probe["code"], probe["error"]) == (False, code, why)
    assert (await api.get(f"/v1/subscriptions/{made['id']}")).body["status"] == "active"
    assert receiver.to("/x") == []


@pytest.mark.usefixtures("dispatcher")
async def test_an_answer_without_end_or_in_no_encoding_is_cut(api: Api, receiver: Receiver) -> None:
    made = await hook(api, receiver)
    receiver.on("/hook", Reply(200, body=b"\xff\x00" * 500_000))
    probe = (await ask(api, made["id"], "test")).body
    assert probe["ok"]
    assert 0 < len(probe["answer"].encode()) <= 8_192


async def test_a_test_that_nobody_does_yet_is_to_be_looked_up(
    api: Api, pool: Pool, receiver: Receiver
) -> None:
    made = await hook(api, receiver)
    answer = await ask(api, made["id"], "test", wait=0)
    assert (answer.status, answer.body["status"], answer.body["ok"]) == (202, "waiting", None)
    place = answer.headers["Location"]
    assert place == f"/v1/subscriptions/{made['id']}/probes/{answer.body['id']}"
    assert (await api.get(place)).body["status"] == "waiting"
    async with pool.acquire() as connection:
        assert await probes.result(connection, UUID(answer.body["id"])) is None


async def test_what_is_not_there_or_has_ended_is_not_tried(api: Api, pool: Pool, receiver: Receiver) -> None:
    made, other = await hook(api, receiver), await hook(api, receiver, "/other")
    async with pool.acquire() as connection, connection.transaction():
        probe = await probes.ask(connection, UUID(made["id"]), "test")
    assert (await api.get(f"/v1/subscriptions/{other['id']}/probes/{probe}")).status == 404
    assert (await api.get(f"/v1/subscriptions/{made['id']}/probes/{uuid4()}")).status == 404
    for what in ("test", "verify"):
        assert (await ask(api, str(uuid4()), what)).status == 404
        assert (await ask(api, "x", what)).status == 422
    await send_json(api, "DELETE", f"/v1/subscriptions/{made['id']}")
    for what in ("test", "verify"):
        assert (await ask(api, made["id"], what)).status == 409
    with pytest.raises(LookupError):
        async with pool.acquire() as connection, connection.transaction():
            await probes.ask(connection, uuid4(), "test")


async def test_what_ended_meanwhile_is_not_reached(
    api: Api, pool: Pool, database_url: str, receiver: Receiver
) -> None:
    made = await hook(api, receiver, verify=True)
    await send_json(api, "DELETE", f"/v1/subscriptions/{made['id']}")
    async with errands(pool, settings_for(database_url, secret_key="k" * 32)):
        assert (await settled(pool, made["id"]))["error"] == "ended"
    assert receiver.requests == []


async def test_a_probe_is_answered_once(api: Api, pool: Pool, receiver: Receiver) -> None:
    made = await hook(api, receiver)
    async with pool.acquire() as connection, connection.transaction():
        await probes.ask(connection, UUID(made["id"]), "test")
        (row,) = await probes.claim(connection, limit=1, lease_seconds=60)
        await probes.answer(connection, row, Answer(False, "dns", 1))
    for change in ("ok = true", "due_at = now()"):
        with pytest.raises(asyncpg.CheckViolationError, match="has its answer"):
            await pool.execute(f"UPDATE probes SET {change}")


async def test_tests_are_bounded_per_subscription_and_per_subscriber(
    api: Api, pool: Pool, receiver: Receiver
) -> None:
    made = [await hook(api, receiver, f"/{n}") for n in range(8)]
    answers = await asyncio.gather(*(ask(api, made[0]["id"], "test", wait=0) for _ in range(30)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [202] * probes.OF_A_SUBSCRIPTION.most + [429] * 20
    refused = next(answer for answer in answers if answer.status == 429)
    assert 0 < int(refused.headers["Retry-After"]) <= 3_600
    await asyncio.gather(*(ask(api, one["id"], "test", wait=0) for one in made for _ in range(12)))
    assert await pool.fetchval("SELECT count(*) FROM probes") == probes.OF_A_SUBSCRIBER.most


@pytest.mark.parametrize("what", ["test", "verify"])
@pytest.mark.parametrize(
    "target",
    [
        "https://127.0.0.1:{port}/x",
        "https://[::1]:{port}/x",
        "https://[::ffff:127.0.0.1]:{port}/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost:{port}/x",
        "http://localhost:{port}/x",
        "http://127.0.0.1:{port}/x",
    ],
)
async def test_nothing_private_is_reached_by_a_test_or_a_proof(
    pool: Pool, database_url: str, receiver: Receiver, what: str, target: str
) -> None:
    """The API refuses these; a name that points elsewhere by now would bring us there all the same."""
    url = target.format(port=receiver.url().rpartition(":")[2].rstrip("/"))
    settings = settings_for(
        database_url, secret_key="k" * 32, webhook_allow_networks="", webhook_timeout_seconds=5.0
    )
    async with serving(pool, whole=True) as api:
        await add_subscriber(api)
        made = await add_subscription(
            api, channel="webhook", target="https://hooks.example/x", verify=what == "verify"
        )
        await pool.execute("UPDATE subscriptions SET target = $1", url)
        async with errands(pool, settings):
            if what == "test":
                await ask(api, made.body["id"], "test")
            row = await settled(pool, made.body["id"])
    assert (row["ok"], row["error"]) == (False, "blocked_address")
    assert receiver.requests == []


async def test_the_api_refuses_private_targets_before_anything_is_asked(pool: Pool) -> None:
    async with serving(pool, whole=True) as api:
        await add_subscriber(api)
        for target in (
            "https://127.0.0.1/",
            "https://10.1.2.3/",
            "http://hooks.example/",
            "https://x.internal/",
        ):
            answer = await add_subscription(api, channel="webhook", target=target, verify=True)
            assert answer.pointers == ["/target"]
    assert await pool.fetchval("SELECT count(*) FROM probes") == 0


@pytest.mark.parametrize("language", ["nl", "en"])
async def test_a_test_mail_is_handed_to_the_relay(
    api: Api, pool: Pool, database_url: str, language: str
) -> None:
    made = await add_subscription(api, channel="email", target="an@start-it.example", language=language)
    async with mailing(pool, database_url) as relay:
        probe = (await ask(api, made.body["id"], "test")).body
        (mail,) = await relay.wait_for(1)
        assert (probe["ok"], probe["code"], probe["answer"]) == (True, 250, "OK")
        assert mail.recipients == ("an@start-it.example",)
        assert mail.message["Message-ID"] == f"<{UUID(probe['id']).hex}@opdrachten.example>"
        assert ("send a test to" if language == "en" else "een testmail") in text_of(mail)
        relay.answer_recipient = lambda address: "550 5.1.1 no such mailbox"
        probe = (await ask(api, made.body["id"], "test")).body
        assert (probe["ok"], probe["code"], probe["error"]) == (False, 550, "smtp_550")
        assert "no such mailbox" in probe["answer"]


async def test_a_stranger_gets_few_test_mails_a_day_by_whatever_subscription(
    api: Api, pool: Pool, database_url: str
) -> None:
    body: dict[str, Any] = {"channel": "email", "verify": True}
    made = [
        (await add_subscription(api, **body, target=target)).body["id"]
        for target in ("victim@bank.example", "Victim+1@bank.example", "victim+2@bank.example")
    ]
    async with mailing(pool, database_url) as relay:
        answers = [await ask(api, one, "test") for one in made for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3 + [429] * 6
        await eventually(
            lambda: pool.fetchval("SELECT count(*) FROM letters WHERE due_at IS NOT NULL"),
            lambda due: due == 0,
            what="the letters",
        )
        assert len(relay.mails) == 3 + 3


async def test_a_secret_that_cannot_sign_is_said_and_not_shown(
    api: Api, pool: Pool, database_url: str, receiver: Receiver
) -> None:
    made = await hook(api, receiver)
    await pool.execute("UPDATE webhook_secrets SET sealed = $1", Vault(api.settings).seal("whsec_!geheim!"))
    async with errands(pool, settings_for(database_url, secret_key="k" * 32)):
        answer = await ask(api, made["id"], "test")
    assert answer.body["error"] == "bad_secret"
    assert "geheim" not in json.dumps(answer.body)
    assert receiver.requests == []


async def test_a_probe_whose_dispatcher_died_is_tried_again_and_then_given_up(
    api: Api, pool: Pool, database_url: str, receiver: Receiver
) -> None:
    made = await hook(api, receiver)
    async with pool.acquire() as connection, connection.transaction():
        await probes.ask(connection, UUID(made["id"]), "test")
        await probes.claim(connection, limit=1, lease_seconds=60)
    await pool.execute("UPDATE probes SET due_at = now(), attempts = 3")
    async with errands(pool, settings_for(database_url, secret_key="k" * 32)):
        assert (await settled(pool, made["id"]))["error"] == "interrupted"
    assert receiver.requests == []
    async with pool.acquire() as connection, connection.transaction():
        assert await subscribers.end(connection, "start-it", "ended")


async def test_letters_go_on_after_the_relay_was_away(pool: Pool, database_url: str, api: Api) -> None:
    relay = SmtpServer()
    settings = settings_for(database_url, smtp_url=relay.url, secret_key="k" * 32)
    async with errands(pool, settings):
        await add_subscription(api, channel="email", target="an@start-it.example", verify=True)
        away = "SELECT outcome FROM letters WHERE outcome = 'relay_unreachable'"
        await eventually(lambda: pool.fetchval(away), bool, what="a try without a relay")
        async with relay:
            await relay.wait_for(1)
