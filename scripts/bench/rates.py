"""How many deliveries a second one dispatcher sends, beside what the bare library does in the same run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from uuid import uuid4

from scripts.bench import seed
from scripts.bench.parts import Parts, bare, cpu_seconds, helper
from services.dispatcher.channels.webhook import personal_part, shared_part
from services.dispatcher.mail.composer import Composer
from services.dispatcher.message import Announcement, Message
from services.domain.event import EventType
from services.runtime.clock import utc_now
from services.runtime.database import open_pool
from services.runtime.settings import Settings

_HOSTS = 100
_SUBSCRIPTIONS = 2_000


@dataclass(frozen=True)
class Rate:
    """Deliveries per second, and the sender's processor time for each, in ms."""

    per_second: float
    cpu_ms: float


@dataclass(frozen=True)
class Rates:
    """What the bare library and one dispatcher did, a pair for each round."""

    bare: list[Rate]
    ours: list[Rate]

    @property
    def ratio(self) -> float:
        """Ours as a share of the bare rate: the middle one of the rounds."""
        pairs = zip(self.ours, self.bare, strict=True)
        return median(ours.per_second / bare.per_second for ours, bare in pairs)


async def webhook_rates(parts: Parts, *, deliveries: int, rounds: int) -> Rates:
    """Send to many hosts that answer at once."""
    slots = Settings().webhook_slots
    with helper("receiver", "--hosts", str(_HOSTS)) as (_, port):
        urls = [f"http://127.0.0.{n % _HOSTS + 2}:{port}/w/{n}" for n in range(_SUBSCRIPTIONS)]
        return await _alternate(
            rounds,
            lambda: bare("webhook", port, _body(), hosts=_HOSTS, slots=slots, rounds=deliveries),
            lambda: _ours(parts, "webhook", urls, deliveries),
        )


async def mail_rates(parts: Parts, *, deliveries: int, rounds: int) -> Rates:
    """Hand mails in at a relay that takes all."""
    slots = Settings().smtp_connections
    with helper("mail_sink") as (_, port):
        parts.smtp_port = port
        addresses = [f"someone@incubator-{n}.example" for n in range(_SUBSCRIPTIONS)]
        return await _alternate(
            rounds,
            lambda: bare("mail", port, _mail(), slots=slots, rounds=deliveries),
            lambda: _ours(parts, "email", addresses, deliveries),
        )


async def _alternate(
    rounds: int,
    measure_bare: Callable[[], Awaitable[tuple[float, float]]],
    measure_ours: Callable[[], Awaitable[Rate]],
) -> Rates:
    rates = Rates([], [])
    for _ in range(rounds):
        rates.bare.append(Rate(*await measure_bare()))
        rates.ours.append(await measure_ours())
    return rates


async def _ours(parts: Parts, channel: str, targets: list[str], deliveries: int) -> Rate:
    """Have one warm dispatcher send what is owed at once."""
    async with parts.database() as dsn, open_pool(dsn, size=1) as pool:
        await seed.subscribe(dsn, channel, targets)
        with parts.omroeper("serve", "dispatcher", env=parts.settings(dsn)) as dispatcher:
            await seed.until_sent(pool, await seed.owe(dsn, 1))
            before = cpu_seconds(dispatcher.pid)
            owed = await seed.owe(dsn, max(1, deliveries // len(targets)))
            seconds = await seed.until_sent(pool, owed)
            return Rate(owed / seconds, (cpu_seconds(dispatcher.pid) - before) / owed * 1000)


def _body() -> bytes:
    return shared_part(_announcement()) + personal_part(f"https://omroeper.example/p/{'x' * 60}")


def _announcement() -> Announcement:
    identity, now = uuid4(), utc_now()
    data = seed.opportunity(str(identity))
    kind = EventType.PUBLISHED
    return Announcement(identity, "https://marketplace.example", "1", kind, data["id"], 1, now, data, None)


def _mail() -> bytes:
    message = Message(
        delivery_id=uuid4(),
        attempt=1,
        announcement=_announcement(),
        subscription_id=uuid4(),
        subscriber_id=uuid4(),
        subscriber="Bench Incubator",
        target="someone@incubator.example",
        language="nl",
        match={},
        unsubscribe_token="token",
    )
    return Composer(Settings(secret_key="k" * 32)).compose(message).raw
