"""Reads the rows of an import from CSV, and says per line and column what is wrong.

Rules:
1. Separated by commas or semicolons, as the header line is; in UTF-8, with or without a BOM.
2. An empty cell says nothing: what is known stays, what is new gets its default.
3. `filter` is the JSON of a subscription's filter; `language` is the subscriber's, and
   `subscription_language` is said where a subscription has another.
4. People are added, and never removed by leaving them out.

Source: RFC 4180.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from services.domain.egress import Networks
from services.domain.problems import Invalid, Problem
from services.domain.strict_json import parse_json
from services.domain.subscriber import (
    PersonIn,
    SubscriberIn,
    SubscriptionIn,
    parse_person,
    parse_subscriber,
    parse_subscription,
)
from services.subscribers.csv_cells import read as read_cell
from services.subscribers.csv_cells import read_days, read_people, read_quiet_hours, read_yes_or_no

MOST_ROWS = 10_000
_ABOUT = ("slug", "name", "kind", "region", "language", "contact")
_WHEN = ("timezone", "digest_hour", "digest_weekday", "reminder_days")
_SUBSCRIBER = (*_ABOUT, *_WHEN, "people")
_SUBSCRIPTION = (
    "channel",
    "target",
    "filter",
    "cadence",
    "quiet_hours",
    "reminders",
    "subscription_language",
)
COLUMNS = (
    *_ABOUT,
    "channel",
    "target",
    "filter",
    "cadence",
    "quiet_hours",
    "reminders",
    *_WHEN,
    "people",
    "subscription_language",
)
_MOST_PEOPLE = 50
_NEEDED = ("slug", "name", "kind")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing wrong in a file: the line (from 1), the column if it is one, and a sentence."""

    line: int
    column: str
    detail: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row as read. Without problems it has a subscriber; its subscription may be none."""

    line: int
    slug: str
    subscriber: SubscriberIn | None = None
    people: tuple[PersonIn, ...] = field(default=(), repr=False)
    subscription: SubscriptionIn | None = field(default=None, repr=False)
    problems: tuple[RowProblem, ...] = ()


def read_rows(text: str, allowed: Networks = ()) -> list[Row]:
    """Read all rows; what is wrong with the file as a whole is a row with that problem alone.

    Webhooks may reach public addresses and those in `allowed`.
    """
    try:
        records = _records(text)
    except _Unreadable as error:
        return [Row(error.line, "", problems=(RowProblem(error.line, "", str(error)),))]
    header = [name.strip().lower() for name in records[0][1]] if records else []
    if wrong := tuple(_wrong_header(header)):
        return [Row(1, "", problems=wrong)]
    reader = _Reader(header, allowed)
    return [reader.read(line, cells) for line, cells in records[1:]]


_Known = tuple[SubscriberIn | None, tuple[PersonIn, ...]]


class _Unreadable(Exception):
    def __init__(self, line: int, detail: str) -> None:
        super().__init__(detail)
        self.line = line


def _records(text: str) -> list[tuple[int, list[str]]]:
    """Cut a text in records that say something, each with the line where it begins."""
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise _Unreadable(1, "the file is not plain UTF-8 text")
    text = text.removeprefix("\ufeff")
    records = []
    for line, cells in _lines(text):
        if any(cell.strip() for cell in cells):
            records.append((line, cells))
        if len(records) > MOST_ROWS + 1:
            raise _Unreadable(line, f"the file has more than {MOST_ROWS} rows; import it in parts")
    return records


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    header = text.lstrip().partition("\n")[0]
    delimiter = ";" if header.count(";") > header.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    try:
        for cells in reader:
            yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise _Unreadable(begins, f"this is not CSV: {error}") from None


def _wrong_header(header: Sequence[str]) -> Iterator[RowProblem]:
    for name in _NEEDED:
        if name not in header:
            yield RowProblem(1, name, "this column is missing from the header")
    for name in sorted(set(header)):
        if name and name not in COLUMNS:
            yield RowProblem(1, name, f"is not a column; the columns are {', '.join(COLUMNS)}")
        if name and header.count(name) > 1:
            yield RowProblem(1, name, "this column stands there twice")


class _Reader:
    """Reads one file's rows, and remembers what was said before."""

    def __init__(self, header: Sequence[str], allowed: Networks) -> None:
        self._header, self._allowed = header, allowed
        self._first: dict[str, tuple[int, Mapping[str, str], _Known]] = {}
        self._lines: dict[tuple[str, str, str], int] = {}

    def read(self, line: int, cells: Sequence[str]) -> Row:
        """Read one row."""
        said = {
            name: read_cell(cell.strip())
            for name, cell in zip(self._header, cells, strict=False)
            if name and cell.strip()
        }
        problems: list[RowProblem] = []
        if any(cell.strip() for cell in cells[len(self._header) :]):
            problems.append(
                RowProblem(line, "", "this row has more cells than the header; is one not quoted?")
            )
        known = self._subscriber(line, said, problems)
        subscription = self._subscription(line, said, problems)
        return Row(line, said.get("slug", ""), *known, subscription, tuple(problems))

    def _subscriber(self, line: int, said: Mapping[str, str], problems: list[RowProblem]) -> _Known:
        about = {name: said[name] for name in _SUBSCRIBER if name in said}
        slug = said.get("slug", "")
        if slug in self._first:
            first, before, known = self._first[slug]
            problems += [
                RowProblem(line, name, f"is not what line {first} says of this subscriber")
                for name, text in about.items()
                if before.get(name) != text
            ]
            return known
        subscriber = _tried(lambda: parse_subscriber(_valued(about)), line, problems)
        people = _tried(lambda: _people(about.get("people", "")), line, problems)
        if slug:
            self._first[slug] = (line, about, (subscriber, people or ()))
        return subscriber, people or ()

    def _subscription(
        self, line: int, said: Mapping[str, str], problems: list[RowProblem]
    ) -> SubscriptionIn | None:
        if not any(name in said for name in _SUBSCRIPTION):
            return None
        subscription = _tried(lambda: self._subscribed(said), line, problems)
        if subscription is None:
            return None
        key = (said.get("slug", ""), subscription.channel, subscription.target)
        if (before := self._lines.setdefault(key, line)) != line:
            problems.append(RowProblem(line, "target", f"is the same subscription as on line {before}"))
        return subscription

    def _subscribed(self, said: Mapping[str, str]) -> SubscriptionIn:
        values: dict[str, Any] = {
            name: said[name] for name in ("channel", "target", "cadence") if name in said
        }
        if "filter" in said:
            values["filter"] = _filter(said["filter"])
        if "quiet_hours" in said:
            values["quiet_hours"] = read_quiet_hours(said["quiet_hours"])
        if "reminders" in said:
            values["reminders"] = read_yes_or_no(said["reminders"], "reminders")
        if "subscription_language" in said:
            values["language"] = said["subscription_language"]
        try:
            return parse_subscription(values, self._allowed)
        except Invalid as error:
            raise _named(error, "/language", "/subscription_language") from None


def _valued(about: Mapping[str, str]) -> dict[str, Any]:
    """Read the cells about a subscriber; a number that is none is left for the rules to point at."""
    values: dict[str, Any] = {name: cell for name, cell in about.items() if name != "people"}
    if "reminder_days" in values:
        values["reminder_days"] = read_days(values["reminder_days"])
    return values


def _people(cell: str) -> tuple[PersonIn, ...]:
    """Read people; whatever is wrong with one of them is wrong with the column."""
    values = read_people(cell)
    if len(values) > _MOST_PEOPLE:
        raise Invalid(Problem("/people", f"has more than {_MOST_PEOPLE} people"))
    try:
        return tuple(parse_person(value) for value in values)
    except Invalid as error:
        raise Invalid(*(Problem(f"/people{p.pointer}", p.detail) for p in error.problems)) from None


def _named(error: Invalid, field: str, column: str) -> Invalid:
    """Point at the column of a field that has another name there."""
    return Invalid(*(Problem(column, p.detail) if p.pointer == field else p for p in error.problems))


def _filter(cell: str) -> Any:
    try:
        return parse_json(cell.encode())
    except Invalid as error:
        raise Invalid(*(type(p)("/filter", p.detail) for p in error.problems)) from None


def _tried(parse: Callable[[], _T], line: int, problems: list[RowProblem]) -> _T | None:
    """Parse, or note what is wrong in which column."""
    try:
        return parse()
    except Invalid as error:
        for problem in error.problems:
            column, _, inside = problem.pointer.removeprefix("/").partition("/")
            detail = f"{inside}: {problem.detail}" if inside else problem.detail
            problems.append(RowProblem(line, column, detail))
        return None
