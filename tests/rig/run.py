"""What all workers of one test run share: a folder, and servers that the first to need them starts.

Rules:
1. The process that started the run makes the folder, and names it in the environment.
2. A server is started once, under a lock, and stopped when the last worker has ended.
3. Whatever else still carries the run's name in its environment by then is killed.
"""

import fcntl
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.rig.waiting import wait_until

#: Not OMROEPER_…: those are the program's settings.
RUN = "TESTS_RUN_FOLDER"


@dataclass(frozen=True)
class Shared:
    """A server of the whole run: where it is, and how it is asked to end."""

    address: str
    pid: int
    stop_signal: int = signal.SIGTERM


def folder() -> Path:
    """Give the folder that the workers of this run share; its path is short enough for sockets."""
    return Path(os.environ[RUN])


def shared(name: str, start: Callable[[], Shared]) -> str:
    """Give the address of the run's server, which `start` starts if nobody has yet."""
    note = folder() / f"{name}.json"
    with locked(folder() / f"{name}.lock"):
        if not note.exists():
            note.write_text(json.dumps(asdict(start())), "utf-8")
        return Shared(**json.loads(note.read_text("utf-8"))).address


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that other processes respect."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of the run, in the process that started it."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN] = tempfile.mkdtemp(prefix="rig-")
        # a run that is told to end stops its servers too, as after Ctrl-C
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop everything that was started, once all workers have ended."""
    if hasattr(config, "workerinput") or RUN not in os.environ:
        return
    for note in folder().glob("*.json"):
        _stop(Shared(**json.loads(note.read_text("utf-8"))))
    _sweep()
    shutil.rmtree(folder(), ignore_errors=True)
    del os.environ[RUN]


def _stop(server: Shared) -> None:
    with suppress(ProcessLookupError):
        os.kill(server.pid, server.stop_signal)
        try:
            wait_until(lambda: _ended(server.pid), seconds=10, what="a server to stop")
        except AssertionError:
            os.kill(server.pid, signal.SIGKILL)


def _ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        pass  # started by a worker, so it is not ours to reap
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _sweep() -> None:
    """Kill what a crashed worker left behind; where there is no /proc, the servers above are all."""
    mark = f"{RUN}={folder()}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        pid = int(entry.parent.name)
        with suppress(OSError):
            if pid != os.getpid() and mark in entry.read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
