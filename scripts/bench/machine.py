"""What the numbers were measured on."""

import os
import platform
from pathlib import Path


def machine() -> dict[str, str]:
    """Describe this machine; what cannot be found out is left out."""
    facts = {
        "processor": f"{_first('/proc/cpuinfo', 'model name') or platform.machine()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "load before": _load(),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _memory() -> str:
    kilobytes = _first("/proc/meminfo", "MemTotal").removesuffix(" kB")
    return f"{int(kilobytes) / 2**20:.0f} GiB" if kilobytes else ""


def _load() -> str:
    """Others' work on the same cores makes all rates lower; the ratios suffer less."""
    return f"{os.getloadavg()[0]:.1f} over the last minute"


def _first(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, "")
