"""The command line, as the README and the contract have it."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.newcomer import EXAMPLES, Said, command, look, post
from tests.rig.process import Process, free_port
from tests.rig.receiver import Receiver
from tests.rig.samples import cloudevent, opportunity
from tests.rig.waiting import until


@dataclass(frozen=True)
class Up:
    """An `omroeper up`, and how to reach it."""

    process: Process
    data: str
    url: str
    key: str
    receiver: Receiver

    async def run(self, *args: str, **more: Any) -> Said:
        """Run a command beside it."""
        return await command(*args, "--data", self.data, **more)

    async def subscribe(self, slug: str, path: str, **fields: Any) -> dict[str, Any]:
        """Add a subscriber with a webhook."""
        await post(f"{self.url}/v1/subscribers", {"slug": slug, "name": slug, "kind": "incubator"}, self.key)
        body = {"channel": "webhook", "target": self.receiver.url(path), **fields}
        status, answer = await post(f"{self.url}/v1/subscribers/{slug}/subscriptions", body, self.key)
        assert status == 201, answer
        return dict(answer)

    async def settled(self, event_id: str) -> dict[str, Any]:
        """Wait until the ledger of an event has nothing owed, and return it."""

        async def ledger() -> dict[str, Any]:
            _, text = await look(f"{self.url}/v1/events/{event_id}", self.key)
            found: dict[str, Any] = json.loads(text)
            owed = {"pending", "sending", "retrying"} & found["states"].keys()
            return found if found["planned_at"] and not owed else {}

        return await until(ledger, seconds=60, what="everything to be settled")


@pytest.fixture
async def up(omroeper: Callable[..., Process], tmp_path: Path) -> AsyncIterator[Up]:
    """An `omroeper up` of this test alone, that may send to loopback and retries soon."""
    port, data = free_port(), tmp_path / "data"
    process = omroeper(
        "up",
        "--data",
        str(data),
        "--port",
        str(port),
        OMROEPER_WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8",
        OMROEPER_WEBHOOK_SCHEDULE="0.2s 0.2s",
    )
    await process.wait_for_line("omroeper is up", seconds=60)
    async with Receiver() as receiver:
        key = (data / "api_key").read_text()
        yield Up(process, str(data), f"http://127.0.0.1:{port}", key, receiver)
    assert process.stop() == 0


async def test_from_a_file_to_a_receiver_and_into_the_ledger(up: Up, tmp_path: Path) -> None:
    await up.subscribe("kade", "/hook")
    file = tmp_path / "opdracht.json"
    file.write_text(json.dumps(opportunity(id="KBS-1")))
    said = await up.run("publish", str(file), "--json")
    assert said.code == 0
    (published,) = said.json
    assert published["status"] == "accepted"
    await up.receiver.wait_for(1, path="/hook")
    ledger = await up.settled(published["id"])
    assert (ledger["subject"], ledger["matched"], ledger["states"]) == ("KBS-1", 1, {"sent": 1})
    shown = (await up.run("events", "show", published["id"], "--json")).json
    assert shown["deliveries"][0]["subscriber"] == "kade"
    assert "kade" in (await up.run("events", "show", published["id"])).out
    assert (await up.run("publish", str(file))).out.startswith("duplicate")


async def test_from_those_told_to_the_proposals_in_one_line(up: Up) -> None:
    await up.subscribe("kade", "/hook")
    given = json.dumps(opportunity(id="KBS-1")).encode()
    (published,) = (await up.run("publish", "-", "--json", stdin=given)).json
    (request,) = await up.receiver.wait_for(1, path="/hook")
    link = json.loads(request.body)["data"]["_omroeper"]["passed_on_url"]
    status, kept = await post(link, {"way": "newsletter", "startups": 40})
    assert (status, kept["startups"]) == (200, 40)
    awarded = {"id": "KBS-1", "proposals": 7, "startup_won": True}
    award = json.dumps(cloudevent(type="opportunity.awarded", data=awarded)).encode()
    assert (await up.run("publish", "-", stdin=award)).code == 0
    await up.settled(published["id"])
    out = (await up.run("events", "show", published["id"])).out
    line = "matched 1 → sent 1 → passed on by 1 (to about 40 start-ups) → 7 proposals, won by a start-up"
    assert line in out.splitlines()
    assert "passed_on" not in out


async def test_notices_events_and_batches_are_published_and_bad_ones_refused(up: Up) -> None:
    notice = EXAMPLES / "opportunities" / "drone-inspectie-kades.xml"
    assert (await up.run("publish", str(notice))).out.startswith("accepted")
    batch = json.dumps([cloudevent(), cloudevent(specversion="0.3")]).encode()
    said = await up.run("publish", "-", stdin=batch)
    assert said.code == 1
    assert "accepted" in said.out
    assert "/specversion" in said.err
    said = await up.run("publish", "-", stdin=b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>")
    assert (said.code, "Traceback" in said.err) == (1, False)


async def test_a_failed_delivery_is_shown_retried_and_replayed(up: Up) -> None:
    await up.subscribe("weg", "/weg")
    up.receiver.on("/weg", 500)
    said = await up.run("publish", "-", "--json", stdin=json.dumps(opportunity()).encode())
    ledger = await up.settled(said.json[0]["id"])
    assert ledger["states"] == {"failed": 1}
    (failed,) = (await up.run("deliveries", "list", "--state", "failed", "--json")).json
    shown = (await up.run("deliveries", "show", failed["id"], "--json")).json
    assert [attempt["code"] for attempt in shown["attempts"]] == [500, 500, 500]
    assert "http_500" in (await up.run("deliveries", "show", failed["id"])).out
    up.receiver.on("/weg", 200)
    dry = (await up.run("replay", "--state", "failed", "--dry-run", "--json")).json
    assert (dry["replayed"], dry["deliveries"][0]["replay_of"]) == (1, failed["id"])
    (again,) = (await up.run("deliveries", "retry", failed["id"], "--json")).json
    assert again["replay_of"] == failed["id"]
    ledger = await up.settled(said.json[0]["id"])
    assert ledger["states"] == {"failed": 1, "sent": 1}
    assert len(set(up.receiver.ids("/weg"))) == 2


async def test_keys_are_made_by_scope_and_end_when_revoked(up: Up) -> None:
    made = (await up.run("apikey", "create", "marktplaats", "--scope", "publish", "--json")).json
    status, _ = await post(f"{up.url}/v1/events", opportunity(), made["key"])
    assert status == 202
    assert (await look(f"{up.url}/v1/events", made["key"]))[0] == 403
    assert (await up.run("apikey", "revoke", made["id"])).code == 0
    status, _ = await post(f"{up.url}/v1/events", opportunity(), made["key"])
    assert status == 401


async def test_subscribers_are_added_imported_and_listed(up: Up) -> None:
    file = str(EXAMPLES / "subscribers.csv")
    dry = (await up.run("subscribers", "import", file, "--dry-run", "--json")).json
    assert dry["added_subscribers"] >= 36
    assert (await up.run("subscribers", "list", "--json")).json == []
    assert (await up.run("subscribers", "import", file)).code == 0
    assert len((await up.run("subscribers", "list", "--json")).json) == dry["added_subscribers"]
    again = (await up.run("subscribers", "import", file, "--json")).json
    assert (again["added_subscribers"], again["added_subscriptions"]) == (0, 0)
    bad = await up.run("subscribers", "add", "Slecht!", "Naam")
    assert (bad.code, "slug" in bad.err) == (1, True)


async def test_doctor_and_migrate_and_dead_letters_answer(up: Up) -> None:
    said = await up.run("doctor", "--json")
    assert {f["what"]: f["ok"] for f in said.json}["database"] is True
    assert (await up.run("deadletters", "list", "--json")).json == []
    assert (await up.run("migrate", "--json")).json == {"applied": []}


async def test_wrong_usage_is_2_and_failure_is_1_with_a_sentence(tmp_path: Path) -> None:
    assert (await command("publish")).code == 2
    assert (await command("no-such-command")).code == 2
    assert (await command("replay", "--state", "nonsense")).code == 2
    said = await command("events", "list", "--data", str(tmp_path / "nothing"))
    assert (said.code, said.out) == (1, "")
    assert "omroeper up" in said.err
    said = await command("publish", "x.json", "--data", str(tmp_path / "nothing"))
    assert (said.code, "PUBLISHER_URL" in said.err) == (1, True)
    said = await command("up", "--data", str(tmp_path), env={"OMROEPER_WEBHOOK_SCHEDULE": "soon"})
    assert (said.code, "OMROEPER_WEBHOOK_SCHEDULE" in said.err) == (1, True)


async def test_a_subscriber_is_shown_exported_imported_again_and_erased(up: Up, tmp_path: Path) -> None:
    await up.subscribe("kade", "/hook")
    assert (await up.run("subscribers", "people", "add", "kade", "An; Peeters", "An@kade.example")).code == 0
    (person,) = (await up.run("subscribers", "people", "list", "kade", "--json")).json
    assert (person["name"], person["email"]) == ("An; Peeters", "an@kade.example")
    twice = await up.run("subscribers", "people", "add", "kade", "An", "an@kade.example")
    assert (twice.code, "already" in twice.err) == (1, True)
    bad = await up.run("subscribers", "people", "add", "kade", "An", "an")
    assert (bad.code, "/email" in bad.err, "Traceback" in bad.err) == (1, True, False)
    shown = (await up.run("subscribers", "show", "kade", "--json")).json
    assert (shown["people"], shown["subscriptions"][0]["quiet_hours"]) == ([person], None)
    assert "an@kade.example" in (await up.run("subscribers", "show", "kade")).out
    file = tmp_path / "everybody.csv"
    assert (await up.run("subscribers", "export", str(file))).code == 0
    assert (await up.run("subscribers", "export")).out.splitlines() == file.read_text("utf-8").splitlines()
    allowed = {"OMROEPER_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
    again = (await up.run("subscribers", "import", str(file), "--json", env=allowed)).json
    assert (again["unchanged"], again["changed"], again["problems"]) == (2, 0, [])
    (whole,) = (await up.run("subscribers", "export", "--json")).json
    assert whole["slug"] == "kade"
    assert (await up.run("subscribers", "people", "remove", "kade", "AN@kade.example")).code == 0
    assert (await up.run("subscribers", "people", "remove", "kade", "an@kade.example")).code == 1
    assert (await up.run("subscribers", "erase", "kade")).code == 2
    for _ in range(2):
        assert (await up.run("subscribers", "erase", "kade", "--yes", "--json")).json["erased"] is True
    for command_ in ("show", "erase --yes"):
        nobody = await up.run("subscribers", *command_.split(), "nobody")
        assert (nobody.code, "Traceback" in nobody.err) == (1, False)
    assert (await up.run("subscribers", "show", "kade")).code == 1
