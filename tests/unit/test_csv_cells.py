"""Cells of an import and export: read back as written, and run by no spreadsheet."""

import csv
import io
from datetime import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.domain.matching import parse_filter
from services.domain.problems import Invalid
from services.subscribers import csv_cells
from services.subscribers.csv_rows import COLUMNS, RowProblem, read_rows
from services.subscribers.exporting import write_csv
from tests.rig.samples import filters

texts = st.text(max_size=30) | st.text(alphabet="'=+-@\t\rab", max_size=6)
names = texts.filter(lambda text: text.strip() and text.isprintable()).map(str.strip)
addresses = st.from_regex(r"[a-z]{1,8}\+?[a-z]{1,8}@[a-z]{1,8}\.example", fullmatch=True)


@given(texts)
def test_a_cell_is_read_back_as_it_was(text: str) -> None:
    assert csv_cells.read(csv_cells.written(text)) == text


@given(texts)
def test_no_cell_begins_as_a_formula_does(text: str) -> None:
    assert not csv_cells.written(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.lists(st.tuples(names, addresses), max_size=4))
def test_people_are_read_back_as_they_were(people: list[tuple[str, str]]) -> None:
    read = csv_cells.read_people(csv_cells.write_people(people))
    assert [(person["name"], person["email"]) for person in read] == people


@pytest.mark.parametrize(
    "cell", ["Jan", "Jan jan@x.example", "Jan <a@x.example> <b@x.example>", '"Jan <a@x.example>']
)
def test_what_names_no_people_is_refused(cell: str) -> None:
    with pytest.raises(Invalid, match=r"^/people: "):
        csv_cells.read_people(cell)


@given(st.permutations([14, 5, 1]), st.integers(0, 3))
def test_days_are_read_back_as_they_were(days: list[int], most: int) -> None:
    assert csv_cells.read_days(csv_cells.write_days(days[:most])) == days[:most]


@given(st.times(), st.times())
def test_quiet_hours_are_read_back_as_they_were(begin: time, end: time) -> None:
    read = csv_cells.read_quiet_hours(csv_cells.write_quiet_hours(begin, end))
    assert read == {"from": f"{begin:%H:%M}", "until": f"{end:%H:%M}"}
    assert csv_cells.read_quiet_hours(csv_cells.write_quiet_hours(None, None)) is None


odd = st.sampled_from(["=1+1", "+1", "-2", "@sum", "'=x", "''-y", 'a"b', "a;b,c", "<b>", "a\\", "é—ß"])
mailboxes = addresses | st.sampled_from(["-x@a.example", "=y@b.example"])
about = st.fixed_dictionaries(
    {
        "name": names | odd,
        "kind": st.sampled_from(["incubator", "other"]),
        "region": st.sampled_from([None, "BE2", "BE234"]),
        "language": st.sampled_from(["nl", "en"]),
        "contact": st.none() | mailboxes,
        "timezone": st.sampled_from(["Europe/Brussels", "Etc/GMT+5"]),
        "digest_hour": st.integers(0, 23),
        "digest_weekday": st.integers(1, 7),
        "reminder_days": st.sampled_from([[], [14], [5, 1], [14, 5, 1]]),
        "people": st.lists(st.tuples(names | odd, mailboxes), max_size=3),
    }
)
told = st.fixed_dictionaries(
    {
        "channel": st.just("email"),
        "target": mailboxes,
        "filter": filters().map(lambda wanted: parse_filter(wanted).as_json()),
        "cadence": st.sampled_from(["immediate", "daily", "weekly"]),
        "quiet": st.none() | st.just((time(20), time(0))),
        "reminders": st.booleans(),
        "subscription_language": st.sampled_from(["nl", "en"]),
    }
)
NOT_TOLD = {"channel": None}


def line(number: int, subscriber: dict[str, Any], subscription: dict[str, Any]) -> dict[str, Any]:
    begin, end = subscription.get("quiet") or (None, None)
    return {"slug": f"s{number}", **subscriber, **subscription, "quiet_from": begin, "quiet_until": end}


@settings(deadline=None)
@given(st.lists(st.tuples(about, st.just(NOT_TOLD) | told), max_size=4))
def test_an_export_is_read_back_as_it_was(drawn: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    lines = [line(number, *pair) for number, pair in enumerate(drawn)]
    rows = read_rows(write_csv(lines))
    assert [row.problems for row in rows] == [()] * len(lines)
    for row, (subscriber, subscription) in zip(rows, drawn, strict=True):
        assert row.subscriber is not None
        read = {**row.subscriber.model_dump(mode="json"), "people": [(p.name, p.email) for p in row.people]}
        assert {name: read[name] for name in subscriber} == subscriber
        assert (row.subscription is None) == (subscription is NOT_TOLD)
        if row.subscription is not None:
            assert row.subscription.filter.as_json() == subscription["filter"]
            quiet = row.subscription.quiet_hours
            assert (quiet and quiet.times) == subscription["quiet"]
            assert row.subscription.reminders is subscription["reminders"]
            assert (row.subscription.target, row.subscription.cadence) == (
                subscription["target"],
                subscription["cadence"],
            )
            language = row.subscription.language or row.subscriber.language
            assert language == subscription["subscription_language"]


def problems_of(**cells: str) -> list[RowProblem]:
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    writer.writerow({"slug": "a", "name": "A", "kind": "other", **cells})
    return [problem for row in read_rows(file.getvalue()) for problem in row.problems]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("timezone", "Mars/Olympus"),
        ("digest_hour", "24"),
        ("digest_hour", "eight"),
        ("digest_weekday", "0"),
        ("reminder_days", "14 6"),
        ("reminder_days", "soon"),
        ("people", "Jan"),
        ("people", "Jan <jan>"),
        ("people", "; ".join(f"P <p{n}@x.example>" for n in range(51))),
        ("cadence", "hourly"),
        ("quiet_hours", "20:00"),
        ("quiet_hours", "25:00-07:00"),
        ("quiet_hours", "07:00-07:00"),
        ("reminders", "maybe"),
        ("reminders", "true"),
        ("subscription_language", "dutch"),
    ],
)
def test_a_bad_cell_is_told_by_line_and_column(column: str, cell: str) -> None:
    mail = {"channel": "email", "target": "a@b.example"}
    (problem,) = problems_of(**mail, **{column: cell})
    assert (problem.line, problem.column) == (2, column)


def test_all_bad_rows_are_told_at_once() -> None:
    file = "slug,name,kind,cadence,channel,target,digest_hour\n"
    file += "a,A,other,daily,webhook,https://a.example/x,7\nb,B,other,,email,x,99\n"
    found = [problem for row in read_rows(file) for problem in row.problems]
    assert [(p.line, p.column) for p in found] == [(2, "cadence"), (3, "digest_hour"), (3, "target")]
