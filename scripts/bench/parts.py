"""The real parts of a measurement, each its own process; all end with it, whatever happens."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from scripts.bench.seed import SECRET_KEY
from services.embedded.broker import embedded_broker
from services.runtime.settings import Settings
from tests.rig import kafka_jars
from tests.rig.kafka import KafkaServer
from tests.rig.postgres import PostgresServer, fresh_database
from tests.rig.process import Process, free_port

ROOT = Path(__file__).parents[2]
API_KEY = "bench-api-key"
_numbers = count(1)


@dataclass
class Parts:
    """A database server and a broker that run, and a folder for all else."""

    folder: Path
    server_dsn: str
    bootstrap: str
    broker: str
    smtp_port: int = 9

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """A fresh database; whoever still uses it is cut off at the end."""
        async with fresh_database(self.server_dsn) as dsn:
            yield dsn

    def settings(self, dsn: str, **more: str) -> dict[str, str]:
        """Give a process its settings: the defaults, but for where the parts are, and topics of its own."""
        name = f"bench-{dsn.rpartition('test_')[2][:12]}"
        plain = {
            "DATABASE_URL": dsn,
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "EVENTS_TOPIC": f"{name}-events",
            "STATUS_TOPIC": f"{name}-status",
            "CONSUMER_GROUP": name,
            "SMTP_URL": f"smtp://127.0.0.1:{self.smtp_port}?starttls=never",
            "PORT": str(free_port()),
            **local_settings(),
            **more,
        }
        return {f"OMROEPER_{name}": value for name, value in plain.items()}

    @contextmanager
    def omroeper(self, *args: str, env: dict[str, str]) -> Iterator[Process]:
        """Run our command line until the block ends, then stop it in order."""
        process = Process(args, env, self.folder / f"process-{next(_numbers)}")
        try:
            yield process
            if process.exit_code is not None:
                raise RuntimeError(f"omroeper {' '.join(args)} ended:\n{process.output[-2000:]}")
        finally:
            with suppress(AssertionError):  # it did not stop in time, and was killed
                process.stop()


def local_settings() -> dict[str, str]:
    """The settings that every process of ours gets here."""
    return {
        "SECRET_KEY": SECRET_KEY,
        "API_KEY": API_KEY,
        "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
    }


@asynccontextmanager
async def open_parts() -> AsyncIterator[Parts]:
    """Start PostgreSQL and Kafka; without Java, the embedded broker, which is in this process."""
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True))
        )
        folder.chmod(0o755)  # PostgreSQL started by root runs as another user
        postgres = PostgresServer(folder / "pg")
        stack.callback(postgres.stop)
        await asyncio.to_thread(postgres.start)
        if kafka_jars.missing() is None:
            kafka = await asyncio.to_thread(stack.enter_context, KafkaServer(folder / "kafka"))
            yield Parts(folder, postgres.dsn, kafka.bootstrap, f"Apache Kafka {kafka_jars.VERSION}")
        else:
            async with embedded_broker(Settings()) as bootstrap:
                yield Parts(folder, postgres.dsn, bootstrap, "the embedded broker (there is no Java here)")


@contextmanager
def helper(module: str, *args: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Run a module of this package until the block ends; gives it, and the port it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"scripts.bench.{module}", *args],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


async def bare(what: str, port: int, body: bytes, **options: int) -> tuple[float, float]:
    """Run a bare client, its own process; return its rate per second, and its processor ms for each."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.bench.bare", what, str(port), *words),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said, _ = await process.communicate(body)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    rate, cpu_ms = said.split()
    return float(rate), float(cpu_ms)


def resident_mb(pid: int) -> float:
    """Tell how much memory a process has in use, in MB. Source: proc(5), `VmRSS`."""
    status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) * 1024 / 1e6


def cpu_seconds(pid: int) -> float:
    """Tell how much processor time a process has used. Source: proc(5), `utime` and `stime`."""
    values = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")
