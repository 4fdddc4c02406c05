"""What is said of a filter: how often it would speak, and whether it can."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.advice import Flaw, flaws, rate
from services.domain.matching import parse_filter


@given(found=st.integers(0, 100_000), days=st.integers(14, 90))
def test_a_rate_is_a_number_that_people_can_picture(found: int, days: int) -> None:
    said = rate(found, timedelta(days=days))
    length = {"day": 1, "week": 7, "month": 30.44}
    if said is None:
        assert found / days * length["month"] < 0.95
    else:
        assert said.count >= 1
        assert abs(said.count - found / days * length[said.unit]) <= 0.5


@given(found=st.integers(0, 100_000), hours=st.integers(0, 14 * 24 - 1))
def test_a_short_time_says_nothing(found: int, hours: int) -> None:
    assert rate(found, timedelta(hours=hours)) is None


@pytest.mark.parametrize("types", [[], ["published"], ["updated", "awarded"]])
def test_who_hears_of_opportunities_can_hear_how_they_go_on(types: list[str]) -> None:
    assert flaws(parse_filter({"types": types})) == {}


@pytest.mark.parametrize("types", [["awarded"], ["withdrawn", "closed"]])
def test_who_hears_only_how_they_go_on_hears_nothing(types: list[str]) -> None:
    assert list(flaws(parse_filter({"types": types}))) == [Flaw.NOTHING_TO_FOLLOW]


def test_divisions_that_do_not_exist_are_named() -> None:
    assert flaws(parse_filter({"cpv": ["72", "99", "04000000", "48810000"]})) == {
        Flaw.NO_SUCH_CPV: ("99", "04")
    }
