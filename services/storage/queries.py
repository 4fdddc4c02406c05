"""Loads named queries from the .sql file beside a storage module.

A file holds `-- name: claim` lines, each followed by comments and one statement.
"""

import re
from pathlib import Path

_NAME = re.compile(r"^-- name: ([a-z_]+)\s*$", re.MULTILINE)


class Queries:
    """The statements of one file, by name; an unknown name is an AttributeError."""

    def __init__(self, path: Path) -> None:
        parts = _NAME.split(path.read_text(encoding="utf-8"))
        names, statements = parts[1::2], [part.strip() for part in parts[2::2]]
        if len(set(names)) != len(names):
            raise ValueError(f"{path.name} names a query twice")
        self.by_name: dict[str, str] = dict(zip(names, statements, strict=True))

    def __getattr__(self, name: str) -> str:
        try:
            return self.by_name[name]
        except KeyError:
            raise AttributeError(f"no query is named {name}") from None


def load(module_file: str) -> Queries:
    """Load the queries of the module whose `__file__` is given."""
    return Queries(Path(module_file).with_suffix(".sql"))
