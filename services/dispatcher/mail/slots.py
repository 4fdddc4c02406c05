"""Keeps places open for what is personal while a template renders, to be filled per recipient."""

import re
import secrets
from dataclasses import dataclass

PERSONAL = ("subscriber", "reason", "passed_on", "unsubscribe", "preferences")
NAMES = ", ".join(PERSONAL)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one personal text, by name."""

    name: str


class Slots:
    """Marks that nobody can guess, so that no text of an event or receiver is taken for one.

    A mark is letters, digits and underscores only: no escaping, wrapping or style inlining changes it.
    """

    def __init__(self) -> None:
        self._key = secrets.token_hex(12)
        self._mark = re.compile(f"q{self._key}([a-pr-z_]+)q")

    def marks(self) -> dict[str, str]:
        """Give the mark of every personal text, by name."""
        return {name: f"q{self._key}{name}q" for name in PERSONAL}

    def split(self, text: str) -> list[str | Slot]:
        """Split a rendered text at its marks; raise ValueError when a template changed one."""
        pieces = self._mark.split(text)
        if any(self._key in piece.lower() for piece in pieces):
            raise ValueError(f"a personal text ({NAMES}) may not be changed by a filter")
        return [Slot(piece) if place % 2 else piece for place, piece in enumerate(pieces) if piece]
