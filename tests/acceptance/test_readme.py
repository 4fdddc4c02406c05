"""`make run` shows what the README says it shows."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.newcomer import EXAMPLES, command, look
from tests.rig.process import Process, free_port


def _start(omroeper: Callable[..., Process], data: Path, port: int) -> Process:
    return omroeper("up", "--demo", "--data", str(data), "--port", str(port))


async def _shown(process: Process, name: str) -> str:
    line = await process.wait_for_line(f"  {name}  ", seconds=90)
    return line.split(name)[1].split()[0]


async def test_the_demonstration_reaches_everybody_and_says_where_to_look(
    omroeper: Callable[..., Process], tmp_path: Path
) -> None:
    process = _start(omroeper, tmp_path / "data", free_port())
    summary = await process.wait_for_line("deliveries: ", seconds=120)
    total, sent = re.match(r"(\d+) deliveries: (\d+) sent$", summary).groups()  # type: ignore[union-attr]
    assert int(total) == int(sent) >= 36
    assert "retrying  attempt 1" in process.output, "some receivers fail at first"
    for name, expected in (
        ("Ledger", "Who, how, and when"),
        ("Mails", "Nieuwe opdracht"),
        ("Webhooks", "webhook-signature"),
        ("API docs", "swagger"),
    ):
        status, text = await look(await _shown(process, name))
        assert (status, expected in text) == (200, True), name
    assert process.stop() == 0
    assert "Stopped" in process.output


async def test_started_again_it_carries_on_with_what_was_owed(
    omroeper: Callable[..., Process], tmp_path: Path
) -> None:
    data, port = tmp_path / "data", free_port()
    first = _start(omroeper, data, port)
    await first.wait_for_line("retrying  attempt 1", seconds=90)
    first.kill()
    second = _start(omroeper, data, free_port())
    await second.wait_for_line("Carrying on with what was owed", seconds=90)
    await second.wait_for_line("deliveries: ", seconds=120)
    events = (await command("events", "list", "--data", str(data), "--json")).json
    for event in events:
        ledger = (await command("events", "show", event["id"], "--data", str(data), "--json")).json
        assert ledger["states"] == {"sent": ledger["matched"]}, ledger["states"]
    assert second.stop() == 0


async def test_a_mail_that_was_caught_can_be_opened_and_unsubscribes_with_one_click(
    omroeper: Callable[..., Process], tmp_path: Path
) -> None:
    port = free_port()
    process = _start(omroeper, tmp_path / "data", port)
    mails = await _shown(process, "Mails")
    _, page = await look(mails)
    name = re.search(r"/demo/mails/([0-9a-fT-]+)", page)
    assert name
    _, raw = await look(f"{mails}/{name[1]}/raw")
    link = re.search(r"List-Unsubscribe: <([^>]+)>", raw)
    assert link
    status, asked = await look(link[1])
    assert (status, "schrijf uit" in asked or "unsubscribe" in asked.lower()) == (200, True)
    process.stop()


async def test_pages_without_login_answer_to_this_machine_only(
    omroeper: Callable[..., Process], tmp_path: Path
) -> None:
    port = free_port()
    process = omroeper("up", "--data", str(tmp_path / "data"), "--port", str(port))
    await process.wait_for_line("omroeper is up", seconds=60)
    mails = f"http://127.0.0.1:{port}/demo/mails"
    assert (await look(mails))[0] == 200
    assert (await look(mails, Host="evil.example"))[0] == 404
    assert (await look(mails, **{"X-Forwarded-For": "192.0.2.1"}))[0] == 404
    published = await command("publish", str(EXAMPLES / "opportunities"), "--data", str(tmp_path / "data"))
    assert published.code == 1
    assert "cannot be read" in published.err
    assert process.stop() == 0
