"""Our command line as a process of its own, to be watched, stopped and killed."""

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.rig.run import RUN
from tests.rig.waiting import until, wait_until

_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", RUN)


def free_port() -> int:
    """Find a TCP port on 127.0.0.1 that stays free while its server is down.

    It is below the range from which outgoing connections take theirs, so none of those has it when a
    server that was killed comes back.
    """
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def clean_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Give what a process needs of ours, and the settings asked for; nothing else."""
    return {**{name: os.environ[name] for name in _PASSED_ON if name in os.environ}, **env}


class Process:
    """`omroeper ARGS` in a folder of its own; what it says goes to `output.txt` there."""

    def __init__(self, args: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "output.txt"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.cli", *args],
                env=clean_environment(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """All it has said so far, on both streams."""
        return self._log.read_text("utf-8", "replace")

    async def wait_for_line(self, text: str, *, seconds: float = 30) -> str:
        """Wait for a line that contains `text`, and return it; AssertionError when the process ends first."""

        def found() -> str | None:
            ended = self.exit_code is not None  # asked first: what it said before is then in the file
            lines = self.output.splitlines()
            line = next((line for line in lines if text in line), None)
            if line is None and ended:
                raise AssertionError(f"ended with {self.exit_code} before {text!r}:\n{self._tail()}")
            return line

        try:
            return str(await until(found, seconds=seconds, what=f"the line {text!r}"))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._tail()}") from None

    def wait(self, *, seconds: float = 30) -> int:
        """Wait for it to end by itself, and return its exit code."""
        wait_until(lambda: self.exit_code is not None, seconds=seconds, what="the process to end")
        return self._process.wait()

    def stop(self) -> int:
        """Ask it to stop (SIGINT), and return its exit code; AssertionError after 10 s, when it is killed."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop within 10 s of SIGINT:\n{self._tail()}") from None

    def kill(self) -> None:
        """End it at once (SIGKILL); does nothing when it has ended."""
        self._process.kill()
        self._process.wait()

    def _tail(self) -> str:
        return self.output[-4_000:]
