"""What the chaos tests share: settings, subscribers, our processes, and what became of every delivery."""

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg

from services.publisher.client import PublisherClient
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.subscribers.importing import import_rows, read_rows
from tests.rig.process import Process, free_port
from tests.rig.receiver import Receiver
from tests.rig.samples import cloudevent, opportunity
from tests.rig.smtp import SmtpServer
from tests.rig.waiting import until

#: For waits that a slow machine may draw out; nothing is asserted about speed.
PATIENCE = 90.0
KEY = "omr_key-of-the-chaos-tests"
NOWHERE = "smtp://127.0.0.1:1"
_SECRET_KEY = "0123456789abcdef"
_LOOPBACK = "127.0.0.0/8"
_SUBJECT = re.compile(r"opdracht-[0-9a-f]{12}")
Run = Callable[..., Process]
Event = dict[str, Any]


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait patiently for a condition that is looked up; AssertionError when it does not come."""
    looked_up: Callable[[], Any] = condition
    await until(looked_up, seconds=PATIENCE, what=what)


def environment(**changes: Any) -> dict[str, str]:
    """Give the settings of one test: short waits, and names of its own on Kafka."""
    own = uuid4().hex[:12]
    plain = {
        "api_key": KEY,
        "secret_key": _SECRET_KEY,
        "smtp_url": NOWHERE,
        "events_topic": f"opportunities-{own}",
        "status_topic": f"status-{own}",
        "consumer_group": f"planner-{own}",
        "webhook_allow_networks": _LOOPBACK,
        "webhook_schedule": " ".join(["1s"] * 60),
        "email_schedule": " ".join(["1s"] * 60),
        "lease_seconds": 3,
        "relay_again_seconds": 2,
        "breaker_failures": 1_000,
    }
    return {f"OMROEPER_{name.upper()}": str(value) for name, value in {**plain, **changes}.items()}


def events(count: int, **changes: Any) -> list[Event]:
    """Make events about opportunities whose title holds their id, so that a mail shows it too."""
    made = []
    for _ in range(count):
        subject = f"opdracht-{uuid4().hex[:12]}"
        made.append(cloudevent(data=opportunity(id=subject, title=f"Gezocht: {subject}", **changes)))
    return made


def subject_of(event: Event) -> str:
    """Name the opportunity that an event is about."""
    return str(event["data"]["id"])


async def subscribe(pool: Pool, targets: Iterable[str], **wanted: list[str]) -> list[str]:
    """Add a subscriber for each address or URL, with this filter; return the targets."""
    given = list(targets)
    wish = json.dumps(wanted).replace('"', '""')
    lines = ["slug,name,kind,channel,target,filter"]
    for target in given:
        channel = "email" if "@" in target else "webhook"
        lines.append(f's-{uuid4().hex[:20]},Incubator,incubator,{channel},{target},"{wish}"')
    settings = Settings(secret_key=_SECRET_KEY, webhook_allow_networks=_LOOPBACK)
    rows = read_rows("\n".join(lines), settings.allowed_networks)
    report = await import_rows(pool, Vault(settings), rows)
    assert report.added_subscriptions == len(given), report.problems
    return given


class Service:
    """One of our processes that is started again under the same settings and port."""

    def __init__(self, run: Run, env: dict[str, str], *args: str) -> None:
        self._run, self._args, port = run, args, free_port()
        self._env = {**env, "OMROEPER_PORT": str(port)}
        self.url = f"http://127.0.0.1:{port}"
        self.process = self._start()

    def _start(self) -> Process:
        return self._run(*self._args, **self._env)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def start(self) -> None:
        """Start it again."""
        self.process = self._start()

    async def look(self, path: str) -> tuple[int, Any]:
        """Open a path with the key; give the status and the JSON, or 0 and None when nobody answers."""
        headers = {"Authorization": f"Bearer {KEY}"}
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(self.url + path, headers=headers) as seen,
            ):
                return seen.status, await seen.json()
        except aiohttp.ClientError:
            return 0, None

    async def ready(self) -> None:
        """Wait until it says that it can work."""
        await self._until_ready(200)

    async def not_ready(self) -> Any:
        """Wait until it says that it cannot work, and return what it says is missing."""
        return (await self._until_ready(503))["missing"]

    async def _until_ready(self, wanted: int) -> Any:
        answers: list[tuple[int, Any]] = []

        async def answered() -> bool:
            answers.append(await self.look("/readyz"))
            assert self.process.exit_code is None, self.process.output[-4_000:]
            return answers[-1][0] == wanted

        await eventually(answered, f"/readyz to answer {wanted}")
        return answers[-1][1]

    def publishing(self) -> PublisherClient:
        """Make a client that publishes here, and does not give up soon."""
        return PublisherClient(self.url, KEY, patience_seconds=PATIENCE)


async def publish(service: Service, published: Sequence[Event]) -> list[str]:
    """Publish events as one batch; return our ids."""
    async with service.publishing() as client:
        answers = await client.publish_batch(published)
    return [answer.id for answer in answers]  # type: ignore[union-attr]  # a problem has none, and fails


@dataclass(frozen=True)
class Receipt:
    """What arrived somewhere: its webhook-id or Message-ID, about which opportunity, at which target."""

    delivery: UUID
    subject: str
    target: str


def receipts(receivers: Iterable[Receiver] = (), mail: SmtpServer | None = None) -> list[Receipt]:
    """List all that arrived so far."""
    arrived = []
    for receiver in receivers:
        for request in receiver.requests:
            subject = json.loads(request.body)["data"]["id"]
            arrived.append(Receipt(UUID(request.headers["webhook-id"]), subject, receiver.url(request.path)))
    for letter in mail.mails if mail else ():
        message, found = letter.message, _SUBJECT.search(letter.message["Subject"])
        assert found is not None, message["Subject"]
        delivery = UUID(message["Message-ID"].strip("<>").partition("@")[0])
        arrived.append(Receipt(delivery, found[0], letter.recipients[0]))
    return arrived


class Ledger:
    """Reads what is owed, straight from the tables."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def owed(self) -> list[asyncpg.Record]:
        """Every delivery: `id`, `subject`, `target`, `state`, `attempts`."""
        return await self._pool.fetch(
            """SELECT d.id, e.subject, s.target, d.state::text, d.attempts FROM deliveries d
               JOIN events e ON e.id = d.event_id JOIN subscriptions s ON s.id = d.subscription_id"""
        )

    async def states(self) -> Counter[str]:
        """Count the deliveries per state."""
        rows = await self._pool.fetch("SELECT state::text, count(*) FROM deliveries GROUP BY state")
        return Counter({row["state"]: row["count"] for row in rows})

    async def in_flight(self) -> set[UUID]:
        """Name what is borrowed by a dispatcher."""
        return {
            row["id"] for row in await self._pool.fetch("SELECT id FROM deliveries WHERE state = 'sending'")
        }

    async def lost_leases(self) -> set[UUID]:
        """Name what was taken back from a dispatcher at least once."""
        rows = await self._pool.fetch("SELECT delivery_id FROM attempts WHERE error = 'lease_expired'")
        return {row["delivery_id"] for row in rows}

    async def until_sent(self, count: int) -> None:
        """Wait until exactly so many deliveries are there, and all of them sent."""
        last: Counter[str] = Counter()

        async def all_sent() -> bool:
            nonlocal last
            try:
                last = await self.states()
            except UNAVAILABLE:
                return False
            return last == Counter(sent=count)

        try:
            await eventually(all_sent, f"{count} deliveries to be sent")
        except AssertionError as error:
            raise AssertionError(f"{error}; they are {dict(last)}") from None

    async def check(
        self, arrived: Sequence[Receipt], published: Iterable[Event], targets: Sequence[str]
    ) -> None:
        """Fail unless each (event, target) is sent, arrived, and always under its one id."""
        owed = {(row["subject"], row["target"]): row for row in await self.owed()}
        wanted = {(subject_of(event), target) for event in published for target in targets}
        assert owed.keys() == wanted
        assert {row["state"] for row in owed.values()} == {"sent"}
        assert {(receipt.subject, receipt.target) for receipt in arrived} == wanted
        for receipt in arrived:
            assert owed[receipt.subject, receipt.target]["id"] == receipt.delivery


def repeated(arrived: Iterable[Receipt]) -> Counter[UUID]:
    """Count how often each delivery arrived again after its first time."""
    times = Counter(receipt.delivery for receipt in arrived)
    return Counter({delivery: count - 1 for delivery, count in times.items() if count > 1})
