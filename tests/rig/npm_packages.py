"""Fetches what the tests take from npm, as locked beside it, once per machine."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.rig.run import locked

_LOCKED = Path(__file__).parent / "npm"
_CACHE = Path(__file__).parents[2] / ".cache"
_FILES = ("package.json", "package-lock.json")


def missing() -> str | None:
    """Say what there is too little of to have the packages; None when they can be had."""
    if shutil.which("node") and ((_home() / "complete").exists() or shutil.which("npm")):
        return None
    return "needs node 18 or newer, and npm for the first run"


def package(name: str) -> Path:
    """Give the folder of a package; all are fetched once, whoever else asks at the same time."""
    home = _home()
    home.mkdir(parents=True, exist_ok=True)
    with locked(home.with_suffix(".lock")):
        if not (home / "complete").exists():
            _fetch(home)
            (home / "complete").touch()
    return home / "node_modules" / name


def _home() -> Path:
    """Name the folder after what is locked, so that another lock file is another folder."""
    digest = hashlib.sha256(b"".join((_LOCKED / name).read_bytes() for name in _FILES))
    return _CACHE / f"npm-{digest.hexdigest()[:12]}"


def _fetch(home: Path) -> None:
    for name in _FILES:
        shutil.copy(_LOCKED / name, home)
    # --ignore-scripts: nobody else's code runs while it is installed
    done = subprocess.run(
        ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=home,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode:
        raise RuntimeError(f"npm did not fetch the packages:\n{done.stdout}{done.stderr}")
