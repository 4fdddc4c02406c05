"""The filter: many spellings go in, one comes out, and both sides of a match are folded alike."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.event import EventType, bare_event
from services.domain.matching import facts, fold, parse_filter
from services.domain.problems import Invalid
from tests.rig.samples import SOURCE, filters, opportunities, opportunity


def pointers(value: object, *path: str) -> list[str]:
    """Give the pointers of all that is wrong with it."""
    with pytest.raises(Invalid) as caught:
        parse_filter(value, *path)
    return [problem.pointer for problem in caught.value.problems]


@given(filters())
def test_a_filter_reads_as_it_is_written(value: dict[str, Any]) -> None:
    parsed = parse_filter(value)
    assert parse_filter(parsed.as_json()) == parsed


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_filter_is_the_empty_one(nothing: object) -> None:
    assert parse_filter(nothing).as_json() == {}
    assert parse_filter(nothing).words == ()


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"type": "published"}, {"types": ["opportunity.published"]}),
        ({"region": "be2"}, {"regions": ["BE2"]}),
        ({"nuts": [" be234 "]}, {"regions": ["BE234"]}),
        ({"cpv": "72000000-5"}, {"cpv": ["72"]}),
        ({"cpv": ["72230000", "9" * 8, "00000000"]}, {"cpv": ["7223", "9" * 8, "00"]}),
        ({"theme": "Slimme Stad"}, {"themes": ["slimme stad"]}),
        ({"procedure": "OPEN"}, {"procedures": ["open"]}),
        ({"audiences": "start-up"}, {"audience": ["start-up"]}),
        ({"estimated_value": {"min": "5.50"}}, {"value": {"min": 5.5}}),
        ({"value": {"currency": "SEK"}}, {}),
        ({"q": "kade"}, {"text": "kade"}),
    ],
)
def test_other_spellings_mean_the_same(value: dict[str, Any], plain: dict[str, Any]) -> None:
    assert parse_filter(value).as_json() == plain


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({"colour": "red"}, "/colour"),
        ({"types": ["deleted"]}, "/types/0"),
        ({"regions": ["BE2", "Antwerpen"]}, "/regions/1"),
        ({"cpv": ["7"]}, "/cpv/0"),
        ({"cpv": ["7x"]}, "/cpv/0"),
        ({"cpv": ["123456789"]}, "/cpv/0"),
        ({"cpv": ["72"] * 201}, "/cpv"),
        ({"themes": [""]}, "/themes/0"),
        ({"audience": ["x"] * 11}, "/audience"),
        ({"value": {"min": 2, "max": 1}}, "/value"),
        ({"value": {"min": -1}}, "/value/min"),
        ({"value": {"currency": "eur"}}, "/value/currency"),
        ({"value": {"least": 1}}, "/value/least"),
        ({"text": "x" * 201}, "/text"),
    ],
)
def test_a_bad_criterion_is_pointed_at(value: dict[str, Any], pointer: str) -> None:
    assert pointers(value) == [pointer]
    assert pointers(value, "filter") == [f"/filter{pointer}"]


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_folding_forgets_case_and_white_space(text: str) -> None:
    folded = fold(text)
    assert folded == " ".join(folded.split())
    assert "\x00" not in folded
    assert fold(f"  {text}\t\n") == folded


@given(st.text(max_size=60).filter(lambda text: text.isprintable() and bool(text.strip())))
def test_the_words_of_a_title_are_found_in_it(title: str) -> None:
    event = bare_event(opportunity(title=title), source=SOURCE)
    assert all(word in facts(event).text for word in parse_filter({"text": title}).words)


@given(opportunities())
def test_every_prefix_of_a_code_is_offered_and_no_other(data: dict[str, Any]) -> None:
    offered = facts(bare_event(data, source=SOURCE))
    for code in data["regions"]:
        assert {code[:length] for length in range(2, len(code) + 1)} <= set(offered.regions)
    assert all(any(code.startswith(part) for code in data["cpv"]) for part in offered.cpv)
    assert all(2 <= len(part) <= 8 for part in offered.cpv)


@given(opportunities())
def test_a_filter_made_of_an_opportunitys_own_codes_meets_it(data: dict[str, Any]) -> None:
    own = parse_filter({"regions": data["regions"], "cpv": data["cpv"], "themes": data["themes"]})
    offered = facts(bare_event(data, source=SOURCE))
    assert set(own.regions) <= set(offered.regions)
    assert set(own.cpv) <= set(offered.cpv)
    assert set(own.themes) <= set(offered.themes)


@given(st.lists(st.sampled_from(EventType), unique=True))
def test_types_may_be_named_short_or_long(types: list[EventType]) -> None:
    short = [kind.removeprefix("opportunity.") for kind in types]
    assert parse_filter({"types": short}) == parse_filter({"types": types})


def test_words_are_looked_for_once_and_folded() -> None:
    assert parse_filter({"text": "  Één CAFÉ een "}).words == ("een", "cafe")
