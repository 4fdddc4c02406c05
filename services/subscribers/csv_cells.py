"""Spells what the cells of an import and export hold, both ways.

Rules:
1. A cell that a spreadsheet would run as a formula gets a `'` before it; reading takes it away again.
2. What is written is read back the same.

Source: OWASP, CSV injection.
"""

import re
from collections.abc import Sequence
from datetime import time

from services.domain.problems import Invalid, Problem

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_QUIET = re.compile(r"([0-9:]+)\s*-\s*([0-9:]+)")
_PERSON = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^"<>;]*?))\s*<([^<>;\s]*)>\s*(?:;|$)')
#: Without a name that needs none, it is written as it is.
_PLAIN_NAME = re.compile(r'[^"<>;\\\s](?:[^"<>;\\]*[^"<>;\\\s])?')
NONE = "none"


def written(cell: str) -> str:
    """Write a cell so that no spreadsheet runs it.

    >>> written("=1+1"), written("'=1"), written("Start it")
    ("'=1+1", "''=1", 'Start it')
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def read(cell: str) -> str:
    """Read a cell as it was before it was `written`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def write_quiet_hours(begin: time | None, end: time | None) -> str:
    """Write quiet hours: `20:00-07:00`, or `none`."""
    return NONE if begin is None else f"{begin:%H:%M}-{end:%H:%M}"


def read_quiet_hours(cell: str) -> dict[str, str] | None:
    """Read quiet hours; raise `Invalid` for the column."""
    if cell.lower() == NONE:
        return None
    found = _QUIET.fullmatch(cell)
    if not found:
        raise Invalid(Problem("/quiet_hours", "must be two times of the day, such as 20:00-07:00, or none"))
    return {"from": found[1], "until": found[2]}


def write_yes_or_no(yes: bool) -> str:
    """Write whether something is so: `yes` or `no`."""
    return "yes" if yes else "no"


def read_yes_or_no(cell: str, column: str) -> bool:
    """Read whether something is so; raise `Invalid` for the column."""
    if cell.lower() not in ("yes", "no"):
        raise Invalid(Problem(f"/{column}", "must be yes or no"))
    return cell.lower() == "yes"


def write_days(days: Sequence[int]) -> str:
    """Write days before a deadline: `14 5 1`, or `none`."""
    return " ".join(map(str, days)) or NONE


def read_days(cell: str) -> list[int | str]:
    """Read days before a deadline, separated by blanks or commas; others judge what is no number."""
    if cell.lower() == NONE:
        return []
    return [int(word) if word.isdecimal() else word for word in cell.replace(",", " ").split()]


def write_people(people: Sequence[tuple[str, str]]) -> str:
    """Write people by name and address: `Jan Peeters <jan@start-it.example>; "A; B" <b@start-it.example>`."""
    return "; ".join(f"{_name(name)} <{address}>" for name, address in people)


def read_people(cell: str) -> list[dict[str, str]]:
    """Read people; raise `Invalid` for the column."""
    found, place = [], 0
    while place < len(cell):
        person = _PERSON.match(cell, place)
        if not person:
            raise Invalid(Problem("/people", "must be like `Jan Peeters <jan@start-it.example>; …`"))
        quoted, plain, address = person.groups()
        name = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        found.append({"name": name, "email": address})
        place = person.end()
    return found


def _name(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
