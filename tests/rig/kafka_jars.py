"""Fetches Apache Kafka's jars from Maven Central, once per machine."""

import shutil
import subprocess
from pathlib import Path

from tests.rig.run import locked

VERSION = "4.1.1"
_POM = Path(__file__).parent / "kafka" / "pom.xml"
_CACHE = Path(__file__).parents[2] / ".cache" / f"kafka-{VERSION}"


def missing() -> str | None:
    """Say what there is too little of to run Kafka; None when it can run."""
    fetched = (_CACHE / "complete").exists()
    if shutil.which("java") and (fetched or shutil.which("mvn")):
        return None
    return "needs Java 17 and Maven, or OMROEPER_TEST_KAFKA=host:port"


def jars() -> Path:
    """Give the folder of the server's jars; fetched once, whoever else asks at the same time."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with locked(_CACHE.with_suffix(".lock")):
        if not (_CACHE / "complete").exists():
            _fetch(_CACHE / "libs")
            (_CACHE / "complete").touch()
    return _CACHE / "libs"


def _fetch(libs: Path) -> None:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={libs}"]
    done = subprocess.run(
        ["mvn", "-q", "-B", "-f", _POM, *goal], check=False, capture_output=True, text=True, timeout=240
    )
    if done.returncode:
        raise RuntimeError(f"Maven did not fetch Kafka:\n{done.stdout}{done.stderr}")
