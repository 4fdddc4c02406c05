"""How long an event takes from the publisher's door to its receiver, and whether dead receivers matter."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import mkdtemp

import aiohttp

from scripts.bench import seed
from scripts.bench.load import Load, percentile
from scripts.bench.parts import Parts, helper, local_settings
from services.embedded.data_dir import find_running
from tests.rig.process import free_port
from tests.rig.waiting import until

_HEALTHY, _HANGING = 27, 3
_OTHERS = 9
_PER_SECOND = 50.0
_ISOLATION_PER_SECOND = 5.0


@dataclass(frozen=True)
class Latency:
    """Percentiles in ms, over so many receipts."""

    p50: float
    p95: float
    p99: float
    count: int

    @classmethod
    def of(cls, values: list[float]) -> "Latency":
        """Summarise."""
        return cls(percentile(values, 0.5), percentile(values, 0.95), percentile(values, 0.99), len(values))


@dataclass(frozen=True)
class Services:
    """What runs: what publishes to it, and the dispatcher's process id."""

    load: Load
    dispatcher_pid: int


@dataclass(frozen=True)
class Isolation:
    """The healthy receivers' p99 in ms, without and with hanging ones beside them, a pair for each round."""

    without: list[float]
    beside: list[float]

    @property
    def ratio(self) -> float:
        """How much worse the p99 becomes: the middle one of the rounds."""
        return median(b / w for b, w in zip(self.beside, self.without, strict=True))


async def apart(parts: Parts, *, seconds: float) -> Latency:
    """Publisher and dispatcher as processes of their own, over the broker."""
    with helper("receiver", "--keep") as (_, port):
        async with parts.database() as dsn:
            await _one_of_many(dsn, port)
            async with services(parts, dsn, port) as running:
                load = running.load
                return Latency.of(await load.latencies(per_second=_PER_SECOND, seconds=seconds, receivers=1))


async def embedded(parts: Parts, *, seconds: float) -> Latency:
    """`omroeper up`: one process, with the database and the broker that come with it."""
    data = Path(mkdtemp(prefix="up-", dir=parts.folder))
    data.chmod(0o755)
    env = {f"OMROEPER_{name}": value for name, value in local_settings().items()}
    listening = free_port()
    up = parts.omroeper("up", "--data", str(data), "--port", str(listening), env=env)
    with helper("receiver", "--keep") as (_, port), up:
        running = await until(lambda: find_running(data), seconds=60, what="omroeper up")
        assert running is not None
        await _one_of_many(running.database_url, port)
        async with aiohttp.ClientSession() as session:
            load = Load(session, f"http://127.0.0.1:{listening}", port)
            return Latency.of(await load.latencies(per_second=_PER_SECOND, seconds=seconds, receivers=1))


async def isolation(parts: Parts, *, seconds: float, rounds: int) -> Isolation:
    """Many healthy receivers, without and with hanging ones beside them, in turns."""
    found = Isolation([], [])
    for _ in range(rounds):
        found.without.append(await _healthy_p99(parts, seconds, hanging=0))
        found.beside.append(await _healthy_p99(parts, seconds, hanging=_HANGING))
    return found


async def _healthy_p99(parts: Parts, seconds: float, *, hanging: int) -> float:
    with helper("receiver", "--keep", "--hosts", str(_HEALTHY + _HANGING)) as (_, port):
        places = ["w"] * _HEALTHY + ["hang"] * hanging
        async with parts.database() as dsn:
            await seed.subscribe(
                dsn,
                "webhook",
                [f"http://127.0.0.{n + 2}:{port}/{place}/{n}" for n, place in enumerate(places)],
            )
            async with services(parts, dsn, port) as running:
                taken = await running.load.latencies(
                    per_second=_ISOLATION_PER_SECOND, seconds=seconds, receivers=_HEALTHY, path="/w/"
                )
                return percentile(taken, 0.99)


@asynccontextmanager
async def services(parts: Parts, dsn: str, receiver_port: int) -> AsyncIterator[Services]:
    """Run a publisher and a dispatcher, each its own process."""
    publisher, dispatcher = parts.settings(dsn), parts.settings(dsn)
    with (
        parts.omroeper("serve", "publisher", env=publisher),
        parts.omroeper("serve", "dispatcher", env=dispatcher) as process,
    ):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            url = f"http://127.0.0.1:{publisher['OMROEPER_PORT']}"
            yield Services(Load(session, url, receiver_port), process.pid)


async def _one_of_many(dsn: str, port: int) -> None:
    await seed.subscribe(dsn, "webhook", [f"http://127.0.0.2:{port}/w"])
    others = [f"http://127.0.0.2:{port}/other/{n}" for n in range(_OTHERS)]
    await seed.subscribe(dsn, "webhook", others, themes=["never announced"])
