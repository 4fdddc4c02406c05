"""What is held of a subscriber is given away whole, goes back in unchanged, and can be forgotten."""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.domain.bounces import Bounce, Kind
from services.runtime.clock import utc_now
from services.runtime.database import Pool, open_pool
from services.runtime.vault import Vault
from services.storage import bounces, erasing, exporting, probes, sessions
from services.storage.probes import Answer
from services.subscribers.csv_rows import COLUMNS
from services.subscribers.exporting import as_csv
from services.subscribers.importing import Report, import_rows, read_rows
from tests.integration.asking import add_subscriber, add_subscription, send_json
from tests.integration.owing import Books, sending, settings_for
from tests.integration.web import Api, serving
from tests.rig.postgres import fresh_database
from tests.rig.receiver import Receiver, Reply
from tests.rig.samples import opportunity
from tests.rig.smtp import SmtpServer

LOOPBACK = "127.0.0.0/8"
SECRETS = ("An Peeters", "start-it", "Start it", "an@", "info@", "geheim", "hook-of-start")


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(pool, whole=True, webhook_allow_networks=LOOPBACK) as served:
        yield served


class Stage:
    """A subscriber to whom all has happened, beside another one."""

    def __init__(self, api: Api, pool: Pool, database_url: str) -> None:
        self.api, self.pool, self.database_url = api, pool, database_url
        self.books = Books(pool, settings_for(database_url, secret_key="k" * 32))
        self.vault = Vault(api.settings)

    async def set(self) -> None:
        """Let it all happen."""
        api = self.api
        await add_subscriber(api, name="Start it", contact="info@start-it.example", region="BE2")
        await add_subscriber(api, "other", name="Other", contact="other@else.example")
        await send_json(
            api,
            "POST",
            "/v1/subscribers/start-it/people",
            {"name": "An Peeters", "email": "an@start-it.example"},
        )
        await send_json(api, "POST", "/v1/subscribers/start-it/feed-token")
        async with self.pool.acquire() as connection:
            for token in (b"used", b"on its way"):
                await sessions.add_link(connection, token, "an@start-it.example")
            assert await sessions.sign_in(connection, b"used", b"session")
        async with Receiver() as receiver, SmtpServer() as relay:
            receiver.on("/hook-of-start-it", Reply(200, body=b"thank you, an@start-it.example"))
            hook = await add_subscription(api, channel="webhook", target=receiver.url("/hook-of-start-it"))
            mail = await add_subscription(
                api, channel="email", target="an@start-it.example", filter={"themes": ["geheim"]}
            )
            other = await add_subscription(api, "other", channel="email", target="other@else.example")
            await add_subscription(api, channel="email", target="wait@start-it.example", verify=True)
            settings = settings_for(self.database_url, secret_key="k" * 32, smtp_url=relay.url)
            self.event = await self.books.plan(data=opportunity(themes=["geheim"]))
            async with sending(self.pool, settings), sending(self.pool, settings, channel="email"):
                await self.books.until_states(UUID(hook.body["id"]), "sent")
                await self.books.until_states(UUID(mail.body["id"]), "sent")
                await self.books.until_states(UUID(other.body["id"]), "sent")
        self.hook, self.mail = UUID(hook.body["id"]), UUID(mail.body["id"])
        (sent,) = await self.books.of_subscription(self.mail)
        await self._complain(sent["id"])
        async with self.pool.acquire() as connection, connection.transaction():
            await probes.ask(connection, self.hook, "test")
            (row,) = await probes.claim(connection, limit=9, lease_seconds=60)
            said = Answer(
                True, None, 1, 200, "POST https://hook-of-start-it.example", "hello an@start-it.example"
            )
            await probes.answer(connection, row, said)

    async def _complain(self, delivery: UUID) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            bounce = Bounce(delivery, Kind.COMPLAINT, None, "reported by start-it")
            assert await bounces.take(connection, bounce, utc_now()) == "suppressed"

    async def ledger(self) -> Any:
        """Read what the ledger answers, but for names and words."""
        answer = (await self.api.get(f"/v1/events/{self.event}")).body
        for item in answer["deliveries"]:
            item["subscriber"] = item["reason"] = "…"
            item["attempts_in_full"] = [
                {name: attempt[name] for name in ("number", "started_at", "outcome", "code", "error")}
                for attempt in (await self.api.get(f"/v1/deliveries/{item['id']}")).body["attempts"]
            ]
        return answer


@pytest.fixture
async def stage(api: Api, pool: Pool, database_url: str) -> Stage:
    made = Stage(api, pool, database_url)
    await made.set()
    return made


async def everything_kept(pool: Pool) -> str:
    """Read every row of every table that can hold something of a subscriber, as one text."""
    tables = [
        row["name"]
        for row in await pool.fetch(
            "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN "
            "('migrations', 'events', 'feed_opportunities')"
        )
    ]
    rows = [
        row["whole"] for name in tables for row in await pool.fetch(f"SELECT t::text AS whole FROM {name} t")
    ]
    return "\n".join(rows)


async def test_all_is_given_away_but_no_secret(stage: Stage) -> None:
    answer = await stage.api.get("/v1/subscribers/start-it/export")
    assert answer.status == 200
    assert answer.headers["Content-Disposition"] == 'attachment; filename="start-it.json"'
    body = answer.body
    assert body["subscriber"]["contact"] == "info@start-it.example"
    assert [person["email"] for person in body["people"]] == ["an@start-it.example"]
    assert {s["status"] for s in body["subscriptions"]} == {"active", "disabled", "pending"}
    assert [d["state"] for d in body["deliveries"]] == ["sent", "sent"]
    assert [r["kind"] for d in body["deliveries"] for r in d["receipts"]] == ["complaint"]
    assert any("thank you" in t["excerpt"] for d in body["deliveries"] for t in d["tries"])
    assert len(body["probes"]) == len(body["confirmations"]) == 1
    whole = json.dumps(body)
    for secret in ("whsec_", "seal", "hash", "other@else.example"):
        assert secret not in whole
    assert (await stage.api.get("/v1/subscribers/nobody/export")).status == 404


async def test_who_is_erased_is_in_no_table_and_the_ledger_counts_as_before(stage: Stage, pool: Pool) -> None:
    before, told = await stage.ledger(), await pool.fetchval("SELECT count(*) FROM status_outbox")
    kept = await everything_kept(pool)
    assert all(word in kept for word in SECRETS)
    answer = await stage.api.ask("DELETE", "/v1/subscribers/start-it?erase=true")
    assert answer.status == 204
    assert [word for word in SECRETS if word in await everything_kept(pool)] == []
    assert "Other" in await everything_kept(pool)
    assert await stage.ledger() == before
    assert before["states"] == {"sent": 3}
    assert await pool.fetchval("SELECT count(*) FROM status_outbox") == told
    for table in ("people", "feed_tokens", "webhook_secrets", "confirmations", "sessions", "sign_in_links"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    assert await pool.fetchval("SELECT count(*) FROM letters WHERE due_at IS NOT NULL") == 0


#: Tables that belong to a subscriber and keep nothing that names or reaches anybody.
NAMELESS = {
    "suppressions": "why and since when",
    "passings": "how often something was passed on, and in which way",
    "status_outbox": "ids and states, until Kafka has them",
}
#: What a column is called that may hold who somebody is, or how to reach them.
TELLING = ("address", "contact", "email", "name", "recipient", "sealed", "target")
OF_A_SUBSCRIBER = """
SELECT DISTINCT c.table_name FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
  AND (c.column_name = ANY ($1::text[]) OR c.column_name IN ('subscriber_id', 'subscription_id'))"""


async def test_every_table_about_subscribers_is_erased_or_nameless(pool: Pool) -> None:
    statements = Path(erasing.__file__).with_suffix(".sql").read_text("utf-8")
    tables = {row["table_name"] for row in await pool.fetch(OF_A_SUBSCRIBER, TELLING)}
    elsewhere = {"letters", "api_keys", "migrations", *NAMELESS}  # letters are taken back by their mailbox
    left = {table for table in tables - elsewhere if not re.search(rf"(UPDATE|FROM) {table}\b", statements)}
    assert left == set(), "have services/storage/erasing.sql forget them, or say here why they are nameless"


async def test_the_api_knows_nobody_who_was_erased_and_erasing_twice_is_fine(
    stage: Stage, pool: Pool
) -> None:
    slug = "/v1/subscribers/start-it"
    for _ in range(2):
        assert (await stage.api.ask("DELETE", f"{slug}?erase=true")).status == 204
    for path in (slug, f"{slug}/people", f"{slug}/export", f"{slug}/subscriptions"):
        assert (await stage.api.get(path)).status == 404
    (erased,) = await pool.fetch("SELECT slug FROM subscribers WHERE erased_at IS NOT NULL")
    assert (await stage.api.get(f"/v1/subscribers/{erased['slug']}")).status == 404
    assert (await stage.api.ask("DELETE", f"/v1/subscribers/{erased['slug']}")).status == 404
    assert (await stage.api.ask("DELETE", "/v1/subscribers/nobody?erase=true")).status == 404
    assert (await stage.api.ask("DELETE", f"{slug}?erase=perhaps")).status == 422
    listed = (await stage.api.get("/v1/subscribers")).body["items"]
    assert [item["slug"] for item in listed] == ["other"]


async def test_who_ended_before_can_be_erased(stage: Stage, pool: Pool) -> None:
    assert (await stage.api.ask("DELETE", "/v1/subscribers/start-it")).status == 204
    assert (await stage.api.ask("DELETE", "/v1/subscribers/start-it")).status == 404
    assert (await stage.api.ask("DELETE", "/v1/subscribers/start-it?erase=true")).status == 204
    assert [word for word in SECRETS if word in await everything_kept(pool)] == []


async def test_who_complained_is_known_when_imported_again(stage: Stage, pool: Pool) -> None:
    await stage.api.ask("DELETE", "/v1/subscribers/start-it?erase=true")
    file = "slug,name,kind,channel,target\nstart-it,Start it,incubator,email,An+nieuw@Start-it.example\n"
    report = await import_rows(pool, stage.vault, read_rows(file))
    assert (report.added_subscribers, report.added_subscriptions, report.unsubscribed) == (1, 0, 1)
    mail = {"channel": "email", "target": "an@start-it.example"}
    assert (await add_subscription(stage.api, **mail)).status == 409
    assert (await add_subscription(stage.api, **mail, verify=True)).status == 201
    fresh = await add_subscription(stage.api, channel="email", target="bo@start-it.example")
    assert fresh.status == 201


async def test_what_was_on_its_way_is_erased_when_it_comes_home(stage: Stage, pool: Pool) -> None:
    await stage.api.ask("DELETE", "/v1/subscribers/start-it?erase=true")
    await pool.execute(
        "UPDATE attempts a SET excerpt = 'from an@start-it.example' FROM deliveries d "
        "JOIN subscribers r ON r.id = d.subscriber_id WHERE d.id = a.delivery_id AND r.erased_at IS NOT NULL"
    )
    await pool.execute("UPDATE probes SET answer = 'from an@start-it.example'")
    async with pool.acquire() as connection:
        await erasing.mop_up(connection)
    assert "an@start-it.example" not in await everything_kept(pool)


async def test_erasing_at_once_and_while_it_is_sent_to_is_erasing(stage: Stage, pool: Pool) -> None:
    path = "/v1/subscribers/start-it?erase=true"
    answers = await asyncio.gather(*(stage.api.ask("DELETE", path) for _ in range(6)))
    assert {answer.status for answer in answers} == {204}
    assert await pool.fetchval("SELECT count(*) FROM subscribers WHERE erased_at IS NOT NULL") == 1


NASTY: tuple[dict[str, str], ...] = (
    {
        "slug": "a",
        "name": '\'=HYPERLINK("x")',
        "kind": "incubator",
        "language": "en",
        "contact": "'-a@x.example",
        "digest_hour": "0",
        "reminder_days": "none",
        "people": '"A; B" <b@x.example>; =C <c@x.example>',
        "channel": "email",
        "target": "'+x@y.example",
        "filter": '{"text": "één;twee", "themes": ["a,b"]}',
        "cadence": "weekly",
        "quiet_hours": "20:00-00:00",
        "reminders": "no",
        "timezone": "Etc/GMT+5",
        "subscription_language": "nl",
    },
    {"slug": "a", "channel": "email", "target": "b@y.example"},
    {"slug": "b", "name": "'@B", "kind": "other"},
    {
        "slug": "c",
        "name": "'-1",
        "kind": "network",
        "channel": "webhook",
        "target": "https://hooks.example/=1",
    },
)


def file_of(rows: Sequence[dict[str, str]]) -> str:
    """Write a file for import."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


async def test_an_export_goes_back_in_unchanged_here_and_whole_elsewhere(
    pool: Pool,
    api: Api,
    _postgres: str,  # noqa: PT019
) -> None:
    vault = Vault(api.settings)
    report = await import_rows(pool, vault, read_rows(file_of(NASTY)))
    assert (report.problems, report.added_subscribers, report.added_subscriptions) == ((), 3, 3)
    written = await export(pool)
    again = await import_rows(pool, vault, read_rows(written))
    assert again == Report(unchanged=6)
    assert await export(pool) == written
    async with fresh_database(_postgres) as there, open_pool(there) as elsewhere:
        added = await import_rows(elsewhere, vault, read_rows(written))
        assert (added.problems, added.changed, added.added_subscriptions) == ((), 0, 3)
        assert await export(elsewhere) == written
    for cell in (cell for row in csv.reader(io.StringIO(written)) for cell in row):
        assert not cell.startswith(("=", "+", "-", "@", "\t"))
    assert "whsec" not in written


async def test_what_a_file_cannot_say_is_left_out_of_it_and_counted(api: Api, pool: Pool) -> None:
    await add_subscriber(api)
    mail = {"channel": "email", "target": "an@start-it.example"}
    made = [await add_subscription(api, **mail) for _ in range(2)]
    await add_subscription(api, channel="email", target="bo@start-it.example", verify=True)
    paused = await add_subscription(api, channel="email", target="cy@start-it.example")
    await send_json(api, "POST", f"/v1/subscriptions/{paused.body['id']}/pause")
    assert {answer.status for answer in made} == {201}
    written = await export(pool)
    assert written.count("an@start-it.example") == 1
    assert "bo@" not in written
    assert "cy@" not in written
    async with pool.acquire() as connection:
        assert await exporting.left_out(connection) == 3


async def export(pool: Pool) -> str:
    async with pool.acquire() as connection:
        return await as_csv(connection)
