"""The servers as fixtures; each is stopped after the test or the run that asked for it."""

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.runtime.database import Pool, open_pool
from tests.rig import kafka_jars, npm_packages, postgres
from tests.rig.kafka import KafkaServer
from tests.rig.process import Process
from tests.rig.run import Shared, folder, shared


@pytest.fixture(scope="session")
def _postgres() -> str:
    return postgres.server_of_the_run()


@pytest.fixture
async def database_url(_postgres: str) -> AsyncIterator[str]:
    """A database of this test alone, with our schema."""
    async with postgres.fresh_database(_postgres) as dsn:
        yield dsn


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """A pool on this test's database, as our processes open it."""
    async with open_pool(database_url) as opened:
        yield opened


@pytest.fixture
def own_postgres() -> Iterator[Callable[[], postgres.PostgresServer]]:
    """Starts servers that belong to this test, to be stopped and started by it."""
    with ExitStack() as stack:

        def start() -> postgres.PostgresServer:
            server = postgres.PostgresServer(Path(tempfile.mkdtemp(prefix="pg-", dir=folder())))
            stack.callback(server.remove)
            server.start()
            return server

        yield start


def need(reason: str | None, required: str) -> None:
    """Skip a test when there is a reason; fail it where this variable of the environment is 1."""
    if reason and os.environ.get(required) == "1":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def _need_kafka() -> None:
    need(kafka_jars.missing(), "OMROEPER_REQUIRE_KAFKA")


@pytest.fixture(scope="session")
def node() -> None:
    """Have node, and what is locked in tests/rig/npm."""
    need(npm_packages.missing(), "OMROEPER_REQUIRE_NODE")


@pytest.fixture(scope="session")
def kafka() -> str:
    """Where the run's Kafka answers; topics and groups are to have names of their own per test."""
    if running := os.environ.get("OMROEPER_TEST_KAFKA"):
        return running
    _need_kafka()
    return shared("kafka", _start_kafka)


def _start_kafka() -> Shared:
    server = KafkaServer(folder() / "kafka")
    server.start()
    return Shared(server.bootstrap, server.detach(), signal.SIGKILL)


@pytest.fixture
def own_kafka() -> Iterator[Callable[[], KafkaServer]]:
    """Starts brokers that belong to this test, to be killed and restarted by it."""
    _need_kafka()
    with ExitStack() as stack:

        def start() -> KafkaServer:
            home = Path(tempfile.mkdtemp(prefix="kafka-", dir=folder()))
            return stack.enter_context(KafkaServer(home))

        yield start


@pytest.fixture
def omroeper(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Runs our command line, `omroeper("up", OMROEPER_PORT="8081")`; killed after the test."""
    started: list[Process] = []

    def run(*args: str, **env: str) -> Process:
        started.append(Process(args, env, tmp_path / f"process-{len(started)}"))
        return started[-1]

    yield run
    for process in started:
        process.kill()
