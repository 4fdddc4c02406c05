"""Strict JSON: what is read comes back from jsonb as it was, and everything else is refused."""

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.domain.problems import Invalid
from services.domain.strict_json import parse_json

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
numbers = st.integers() | st.floats(-1e15, 1e15)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


def refusal(raw: bytes) -> str:
    with pytest.raises(Invalid) as caught:
        parse_json(raw)
    (problem,) = caught.value.problems
    assert problem.pointer == ""
    return problem.detail


@given(values, st.booleans(), st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_what_is_json_is_read_as_it_is(value: Any, ascii_only: bool, mark: bytes) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse_json(mark + b" \n" + raw) == value


@given(st.binary(max_size=60))
@example(b"\x00")
@example(b"1" * 5_000)
def test_any_bytes_are_a_value_or_a_refusal(raw: bytes) -> None:
    try:
        value = parse_json(raw)
    except Invalid:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(-0.0)
@example(1e16)
@example(9999999999999998.0)
@example(1.7976931348623157e308)
@example(5e-324)
def test_a_number_is_the_same_when_it_is_written_without_exponent(number: float) -> None:
    # jsonb keeps a numeric: it has no exponent and no minus zero, and whole digits come back as an int
    read = parse_json(json.dumps(number).encode())
    stored = f"{Decimal(json.dumps(read)) + 0:f}"
    again = parse_json(stored.encode())
    assert json.dumps(again) == json.dumps(read)
    assert math.isclose(float(read), number, rel_tol=0)


@given(st.integers(-(10**4_000), 10**4_000))
def test_an_integer_keeps_all_its_digits(number: int) -> None:
    assert parse_json(str(number).encode()) == number


@pytest.mark.parametrize(
    "raw", [b"NaN", b"[Infinity]", b'{"a": -Infinity}', b"1e400", b"-1e400", b"1" * 4_301]
)
def test_a_number_that_is_none_or_too_large_is_refused(raw: bytes) -> None:
    assert "is not JSON we can read" in refusal(raw)


@pytest.mark.parametrize("raw", [rb'"\u0000"', rb'{"a": ["b\u0000"]}', rb'{"a\u0000": 1}'])
def test_nul_is_refused_wherever_it_stands(raw: bytes) -> None:
    assert "NUL" in refusal(raw)


@pytest.mark.parametrize("raw", [rb'"\ud800"', rb'["\udfff"]', rb'{"\ud83d": 1}', rb'"\ude00\ud83d"'])
def test_half_a_surrogate_pair_is_refused_wherever_it_stands(raw: bytes) -> None:
    assert "surrogate" in refusal(raw)


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert parse_json(rb'"\ud83d\ude00"') == "😀"


@pytest.mark.parametrize("raw", [b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', '"é"'.encode("latin-1")])
def test_what_is_not_utf_8_is_refused_with_the_place(raw: bytes) -> None:
    assert refusal(raw).startswith("is not UTF-8 (byte 1")


def test_what_is_not_json_is_refused_with_line_and_column() -> None:
    assert "line 2, column 8" in refusal(b'{\n  "a": }')


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_fifty_levels_are_read_and_no_more(start: str, end: str) -> None:
    def nested(depth: int) -> bytes:
        return (start * depth + "1" + end * depth).encode()

    parse_json(nested(50))
    for depth in (51, 500, 100_000):
        assert refusal(nested(depth))


def test_a_wide_document_is_not_a_deep_one() -> None:
    assert len(parse_json(b"[" + b",".join([b"[]"] * 10_000) + b"]")) == 10_000
