"""The data directory of `omroeper up`: its lock, its keys, and how to reach what runs in it."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from services.runtime.settings import ConfigError

_LOCK = "lock"
_RUNNING = "running.json"


@dataclass(frozen=True, slots=True)
class Running:
    """How to reach an `omroeper up`, for the commands beside it."""

    pid: int
    url: str
    database_url: str = field(repr=False)
    kafka_bootstrap_servers: str
    api_key: str = field(repr=False)


def prepare(directory: Path) -> None:
    """Make the directory; only its owner may write in it."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be made: {error.strerror}; choose another with --data"
        ) from None


def kept_secret(directory: Path, name: str) -> str:
    """Read a secret kept in the directory, or make it (256 random bits, file mode 0600)."""
    path = directory / name
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
    return path.read_text("ascii").strip()


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the directory; raise `ConfigError` when another process does."""
    with (directory / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another `omroeper up` uses {directory}; stop it, or choose another directory with --data"
            ) from None
        yield


@contextmanager
def announced(directory: Path, running: Running) -> Iterator[None]:
    """Tell the commands beside us how to reach us, for as long as we run."""
    path = directory / _RUNNING
    draft = path.with_suffix(".tmp")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(running)), "utf-8")
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find_running(directory: Path) -> Running | None:
    """Find the `omroeper up` of a directory; None when none runs there."""
    try:
        with (directory / _LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None  # nobody holds it: what is announced is of a process that was killed
    except BlockingIOError:
        pass
    except OSError:
        return None
    try:
        return Running(**json.loads((directory / _RUNNING).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
