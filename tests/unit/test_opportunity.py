"""The opportunity: what is refused says where, what is unknown is kept, what is kept stays as it is."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.domain.opportunity import Buyer, Opportunity, parse_opportunity, text_in
from services.domain.problems import Invalid
from tests.rig.samples import opportunities, opportunity

json_values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KNOWN = {*Opportunity.model_fields, *Buyer.model_fields}
unknown = st.dictionaries(
    st.text(min_size=1, max_size=12).filter(lambda name: name not in KNOWN), json_values, max_size=3
)


def pointers(data: object, *path: str) -> list[str]:
    """Give the pointers of all that is wrong with it."""
    with pytest.raises(Invalid) as caught:
        parse_opportunity(data, *path)
    return [problem.pointer for problem in caught.value.problems]


@given(opportunities(), unknown)
def test_what_was_accepted_once_is_accepted_again_unchanged(
    data: dict[str, Any], extra: dict[str, Any]
) -> None:
    stored = parse_opportunity({**extra, **data}).as_json()
    assert parse_opportunity(stored).as_json() == stored


@given(st.decimals(0, 10**11, places=4, allow_nan=False).filter(lambda amount: amount < 10**11).map(str))
def test_an_amount_that_was_accepted_stays_what_it_is(amount: str) -> None:
    stored = parse_opportunity(opportunity(estimated_value={"amount": amount})).as_json()
    again = parse_opportunity(stored).as_json()
    assert again["estimated_value"] == stored["estimated_value"]
    assert repr(again["estimated_value"]["amount"]) == repr(stored["estimated_value"]["amount"])


@given(st.lists(st.text(min_size=1, max_size=100), max_size=3))
@example(["İ" * 100])  # longer in lower case
def test_a_tag_that_was_accepted_is_accepted_again_unchanged(themes: list[str]) -> None:
    try:
        stored = parse_opportunity(opportunity(themes=themes)).as_json()
    except Invalid:
        return
    assert parse_opportunity(stored).as_json() == stored


@given(unknown, unknown)
def test_what_is_unknown_is_kept_at_every_level(extra: dict[str, Any], inner: dict[str, Any]) -> None:
    buyer = {**inner, "name": "Stad Voorbeeld"}
    stored = parse_opportunity(opportunity(buyer=buyer) | extra).as_json()
    assert {name: stored[name] for name in extra} == extra
    assert stored["buyer"] == buyer | {k: v for k, v in stored["buyer"].items() if k not in inner}


@given(json_values)
def test_whatever_comes_in_is_an_opportunity_or_a_list_of_problems(value: Any) -> None:
    data = value if isinstance(value, dict) else opportunity(documents=value, summary=value, cpv=value)
    with suppress(Invalid):
        assert parse_opportunity(data).as_json()["id"] == data["id"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id": None}, "/id"),
        ({"id": "a b"}, "/id"),
        ({"id": "a\n"}, "/id"),
        ({"id": "x" * 201}, "/id"),
        ({"version": 0}, "/version"),
        ({"version": 1_000_001}, "/version"),
        ({"title": None}, "/title"),
        ({"title": ""}, "/title"),
        ({"title": {"nl": "x" * 401}}, "/title"),
        ({"title": "two\nlines"}, "/title"),
        ({"title": "bell\x07"}, "/title"),
        ({"title": {"nl": 7}}, "/title/nl"),
        ({"title": {"Dutch": "x"}}, "/title/Dutch"),
        ({"summary": "x" * 4_001}, "/summary"),
        ({"description": "x" * 50_001}, "/description"),
        ({"buyer": {}}, "/buyer/name"),
        ({"buyer": {"name": "x", "kbo": "12"}}, "/buyer/kbo"),
        ({"buyer": {"name": "x", "ovo_code": "OVO1"}}, "/buyer/ovo_code"),
        ({"nature": "gifts"}, "/nature"),
        ({"estimated_value": {"amount": -1}}, "/estimated_value/amount"),
        ({"estimated_value": {"amount": 10**15}}, "/estimated_value/amount"),
        ({"estimated_value": {"amount": 1, "currency": "euro"}}, "/estimated_value/currency"),
        ({"cpv": ["72000000", "7200"]}, "/cpv/1"),
        ({"cpv": ["72000000"] * 101}, "/cpv"),
        ({"regions": ["Antwerpen"]}, "/regions/0"),
        ({"themes": ["x" * 101]}, "/themes/0"),
        ({"audience": ["x"] * 11}, "/audience"),
        ({"url": "http://stad.example/"}, "/url"),
        ({"url": "javascript:alert(1)"}, "/url"),
        ({"url": "https://user@stad.example/"}, "/url"),
        ({"url": "https://stad.example/\r\nx: y"}, "/url"),
        ({"contact": {"email": "a@b@c"}}, "/contact/email"),
        ({"contact": {"email": "a@b.example\nBcc: c@d.example"}}, "/contact/email"),
        ({"documents": [{"url": "https://a.example"}, {"title": "x"}]}, "/documents/1/url"),
        ({"documents": [{"url": "ftp://a.example/"}]}, "/documents/0/url"),
    ],
)
def test_a_bad_field_is_pointed_at(changes: dict[str, Any], pointer: str) -> None:
    assert pointers(opportunity(**changes)) == [pointer]
    assert pointers(opportunity(**changes), "data") == [f"/data{pointer}"]


@pytest.mark.parametrize("field", ["published_at", "deadline", "questions_until"])
@pytest.mark.parametrize("naive", ["2027-01-12T12:00:00", "2027-01-12", "noon"])
def test_an_instant_without_an_offset_is_refused(field: str, naive: str) -> None:
    assert pointers(opportunity(**{field: naive})) == [f"/{field}"]


def test_all_that_is_wrong_is_said_at_once_and_no_value_is_repeated() -> None:
    with pytest.raises(Invalid) as caught:
        parse_opportunity(opportunity(version=0, contact={"email": "geheim at b"}, url="nope"))
    assert {p.pointer for p in caught.value.problems} == {"/version", "/contact/email", "/url"}
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("value", [None, [], "tekst", 7, True])
def test_what_is_not_an_object_is_refused_as_a_whole(value: object) -> None:
    assert pointers(value) == [""]


def test_limits_are_reached_without_refusal() -> None:
    at_the_limit = opportunity(
        id="x" * 200,
        title="x" * 400,
        summary="x" * 4_000,
        description="x" * 50_000,
        cpv=["72000000-5"] * 100,
        themes=["x" * 100] * 50,
    )
    stored = parse_opportunity(at_the_limit).as_json()
    assert stored["title"] == {"nl": "x" * 400}
    assert stored["cpv"] == ["72000000"] * 100


def test_codes_and_tags_are_written_in_one_way() -> None:
    stored = parse_opportunity(opportunity(regions=[" be211 "], themes=[" Slimme Stad "])).as_json()
    assert (stored["regions"], stored["themes"]) == (["BE211"], ["slimme stad"])


@given(st.dictionaries(st.sampled_from(["nl", "en", "fr", "de"]), st.text(min_size=1), min_size=1))
def test_there_is_always_a_text_in_some_language(texts: dict[str, str]) -> None:
    for language in ("nl", "en-GB", "fr", "xx"):
        assert text_in(texts, language) in texts.values()
    assert text_in(texts, "fr") == (texts.get("fr") or text_in(texts, "xx"))
