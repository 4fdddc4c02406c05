"""`omroeper up` on its embedded parts: killed, started twice, stopped in the middle."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.runtime.database import Pool, open_pool
from tests.chaos.stage import (
    PATIENCE,
    Ledger,
    Run,
    Service,
    environment,
    events,
    publish,
    receipts,
    repeated,
    subscribe,
)
from tests.rig.receiver import HANG, Receiver
from tests.rig.run import folder
from tests.rig.smtp import SmtpServer
from tests.rig.waiting import until

pytestmark = pytest.mark.chaos
HOOKS = 20
SLOTS, MAIL_SLOTS = 8, 4


@dataclass(frozen=True)
class Home:
    """A data directory, and how `up` is run in it."""

    run: Run
    directory: Path

    def up(self, **settings: object) -> Service:
        """Start `omroeper up` here."""
        env = environment(lease_seconds=2, webhook_slots=SLOTS, smtp_connections=MAIL_SLOTS, **settings)
        return Service(self.run, env, "up", "--data", str(self.directory))

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Pool]:
        """Look into the database of the `up` that runs or was killed here."""
        running = json.loads((self.directory / "running.json").read_text("utf-8"))
        async with open_pool(running["database_url"], size=3) as pool:
            yield pool

    def inhabitants(self) -> list[str]:
        """Name the processes that live in this directory, PostgreSQL's above all."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if Path(os.readlink(entry / "cwd")).is_relative_to(self.directory):
                    found.append((entry / "cmdline").read_text("utf-8", "replace").replace("\0", " "))
        return found


@pytest.fixture
def home(omroeper: Run) -> Iterator[Home]:
    """A data directory of this test alone; its path is short enough for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="up-", dir=folder()))
    yield Home(omroeper, directory)
    shutil.rmtree(directory, ignore_errors=True)


async def test_up_that_was_killed_carries_on_with_what_it_owed_and_had_not_planned(home: Home) -> None:
    async with Receiver() as receiver, SmtpServer() as mail:
        hooks = [receiver.url(f"/{number}") for number in range(HOOKS)]
        boxes = [f"info@incubator-{number}.example" for number in range(5)]
        for number in range(HOOKS):
            receiver.on(f"/{number}", HANG)
        up, given = home.up(smtp_url=mail.url), events(8)
        await up.ready()
        async with home.database() as pool:
            targets = await subscribe(pool, hooks + boxes)
            await publish(up, given[:4])
            await receiver.wait_for(SLOTS, seconds=PATIENCE)
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK TABLE deliveries IN SHARE MODE")  # nothing can be planned
                await publish(up, given[4:])
                up.kill()
            held = await Ledger(pool).in_flight()
            assert await pool.fetchval("SELECT count(*) FROM events WHERE planned_at IS NULL") == 4
        for number in range(HOOKS):
            receiver.on(f"/{number}", 200)
        up.start()
        await up.ready()
        async with home.database() as pool:
            ledger = Ledger(pool)
            await ledger.until_sent(len(given) * len(targets))
            arrived = receipts([receiver], mail)
            await ledger.check(arrived, given, targets)
            assert repeated(arrived).keys() <= held
        assert up.process.stop() == 0
        assert home.inhabitants() == []


async def test_a_second_up_on_the_same_directory_is_refused_with_a_sentence(home: Home) -> None:
    first = home.up()
    await first.ready()
    second = home.up()
    assert second.process.wait(seconds=PATIENCE) == 1
    said = second.process.output.strip()
    assert said.startswith(f"omroeper: another `omroeper up` uses {home.directory}")
    assert len(said.splitlines()) == 1
    await first.ready()
    assert first.process.stop() == 0
    assert home.inhabitants() == []


async def test_ctrl_c_stops_up_while_receivers_hang_and_others_are_being_told(home: Home) -> None:
    async with Receiver() as receiver, SmtpServer() as mail:
        hooks = [receiver.url(f"/{number}") for number in range(HOOKS)]
        boxes = [f"info@incubator-{number}.example" for number in range(HOOKS)]
        hanging = hooks[:3]
        for number in range(len(hanging)):
            receiver.on(f"/{number}", HANG, 200)
        up, given = home.up(smtp_url=mail.url), events(40)
        await up.ready()
        async with home.database() as pool:
            targets = await subscribe(pool, hooks + boxes)
        await publish(up, given)
        await until(
            lambda: all(receiver.to(f"/{number}") for number in range(len(hanging))),
            seconds=PATIENCE,
            what="all three to hang",
        )
        assert home.inhabitants()
        assert await asyncio.to_thread(up.process.stop) == 0
        assert home.inhabitants() == []
        assert not (home.directory / "running.json").exists()
        before = len(receiver.requests) + len(mail.mails)
        assert before < len(given) * len(targets)
        up.start()
        await up.ready()
        async with home.database() as pool:
            ledger = Ledger(pool)
            await ledger.until_sent(len(given) * len(targets))
            arrived = receipts([receiver], mail)
            await ledger.check(arrived, given, targets)
            again = repeated(arrived)
            assert {r.target for r in arrived if r.delivery in again} >= set(hanging)
            assert set(again.values()) == {1}
            assert len(again) <= SLOTS + 2 * MAIL_SLOTS
        assert up.process.stop() == 0
