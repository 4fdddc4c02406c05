"""Apache Kafka itself: one node, from the jars on Maven Central, in KRaft mode."""

import signal
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.rig.kafka_jars import jars
from tests.rig.process import free_port
from tests.rig.waiting import wait_until

_START_SECONDS = 60.0

#: The session is short because a killed broker may register again only when its old one has ended.
#: The second half makes an idle broker small: its internal topics have 50 partitions otherwise.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.num.partitions=1
log.cleaner.dedupe.buffer.size=4194304
"""


class KafkaServer:
    """A broker with its data in `folder`; everything it does blocks until it is done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self._log = folder / "server.log"

    @property
    def bootstrap(self) -> str:
        """Where clients find it."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it answers; RuntimeError with its log when it does not."""
        if not (self._folder / "server.properties").exists():
            self._format()
        # less compiling: a test's broker does not live long enough to earn it back
        options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._folder / "server.properties"), options=options),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop it in order; does nothing when it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same port and data, whether it was stopped, killed or runs."""
        self.stop()
        self.start()

    def detach(self) -> int:
        """Leave it running when this process ends; return the process id."""
        if self._process is None:
            raise ValueError("Kafka does not run")
        pid = self._process.pid
        self._process.returncode = 0  # else Popen warns of a process that nobody waited for
        self._process = None
        return pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _format(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        properties = self._folder / "server.properties"
        settings = {"port": self._port, "controller_port": free_port(), "data": self._folder / "data"}
        properties.write_text(_PROPERTIES.format(**settings), "utf-8")
        # it must not begin with a hyphen, which the tool takes for an option
        cluster = urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        command = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties))
        subprocess.run(command, check=True, capture_output=True, timeout=_START_SECONDS)

    def _java(self, main: str, *args: str, options: Sequence[str] = ()) -> list[str]:
        return ["java", *options, "-cp", f"{jars()}/*", main, *args]

    def _wait_until_ready(self) -> None:
        settings: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "log_level": 0,
            "reconnect.backoff.max.ms": 200,
        }
        client = AdminClient(settings)

        def ready() -> bool:
            if self._process is None or self._process.poll() is not None:
                raise AssertionError("Kafka ended at its start")
            try:
                return bool(client.list_topics(timeout=1).brokers)
            except KafkaException:
                return False

        try:
            wait_until(ready, seconds=_START_SECONDS, what="Kafka to answer")
        except AssertionError as error:
            log = self._log.read_text("utf-8", "replace")[-4_000:]
            self.kill()
            raise RuntimeError(f"{error}; its log:\n{log}") from None

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
