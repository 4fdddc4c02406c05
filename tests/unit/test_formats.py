"""Which form a posted event has, told by its content type and headers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.event import BATCH, STRUCTURED, Event, bare_event, parse_cloudevent
from services.domain.problems import Invalid
from services.publisher.formats import ACCEPTED_TYPES, Batch, UnknownForm, read_json, read_posted
from tests.rig.samples import SOURCE, cloudevent, opportunities, opportunity

cases = st.sampled_from([str.lower, str.upper, str.title])
parameters = st.sampled_from(["", ";charset=utf-8", " ; charset=UTF-8; profile=x"])


def read(value: Any, content_type: str, **headers: str) -> Event | Batch:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    body = json.dumps(value).encode()
    return read_posted({"content-type": content_type, **named}, body, source=SOURCE)


def pointers(value: Any, content_type: str, **headers: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        read(value, content_type, **headers)
    return [problem.pointer for problem in caught.value.problems]


def binary(event: dict[str, Any], **changes: str | None) -> dict[str, str]:
    """Give an event's `ce_` headers; a change to None leaves one out."""
    plain = {f"ce_{name}": event[name] for name in ("specversion", "id", "source", "type", "time")}
    return {name: text for name, text in {**plain, **changes}.items() if text is not None}


@given(cases, parameters, opportunities())
def test_the_four_forms_are_told_apart(case: Any, more: str, data: dict[str, Any]) -> None:
    event = cloudevent(data=data)
    expected = parse_cloudevent(event)
    assert read(event, case(STRUCTURED) + more) == expected
    assert read(data, case("application/json") + more, **binary(event)) == expected
    assert read(data, case("application/json") + more) == bare_event(data, source=SOURCE)
    assert read([event, event], case(BATCH) + more) == Batch([expected, expected])


def test_a_cloudevent_is_one_even_as_plain_json() -> None:
    event = cloudevent()
    assert read(event, "application/json") == parse_cloudevent(event) == read_json(event, source="other")


def test_an_opportunity_is_none_in_structured_mode() -> None:
    assert "/specversion" in pointers(opportunity(), STRUCTURED)


@given(st.sets(st.sampled_from(["ce_specversion", "ce_id", "ce_source", "ce_type"]), min_size=1))
def test_an_event_in_binary_mode_is_never_taken_for_a_bare_opportunity(missing: set[str]) -> None:
    event = cloudevent(type="opportunity.withdrawn")
    headers = binary(event, **dict.fromkeys(missing))
    found = pointers(event["data"], "application/json", **headers)
    assert set(found) == {"/" + name.removeprefix("ce_") for name in missing}


def test_headers_beside_a_structured_event_say_nothing() -> None:
    event = cloudevent()
    headers = {"ce_id": "another", "ce_type": "opportunity.withdrawn", "ce_specversion": "0.3"}
    assert read(event, STRUCTURED, **headers) == parse_cloudevent(event)
    assert read([event], BATCH, **headers) == Batch([parse_cloudevent(event)])


def test_binary_mode_has_its_data_in_the_body_alone() -> None:
    event = cloudevent()
    assert read(event["data"], "application/json", **binary(event, ce_data="x")) == parse_cloudevent(event)
    headers = {name.replace("_", "-"): text for name, text in binary(event).items()}
    with pytest.raises(Invalid):
        read_posted({"content-type": "application/json", **headers}, b"", source=SOURCE)


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ("a%20b", "a b"),
        ("100%25", "100%"),
        ("%2541", "%41"),
        ("50%", "50%"),
        ('"a b"', "a b"),
        (r'"a \"b\" \\ c"', r'a "b" \ c'),
        ('"a%20b"', "a b"),
        ("%22a%22", '"a"'),
        ('"', '"'),
        ('a"b', 'a"b'),
    ],
)
def test_a_header_is_unquoted_and_then_decoded_once(sent: str, read_as: str) -> None:
    event = cloudevent()
    posted = read(event["data"], "application/json", **binary(event, ce_id=sent))
    assert isinstance(posted, Event)
    assert posted.id == read_as


@pytest.mark.parametrize("sent", ["%C0%A0", "%FF", "%E2%82%AC", "a%0Ab", "%00", '""', ""])
def test_a_header_that_decodes_to_what_no_identity_is_made_of_is_refused(sent: str) -> None:
    event = cloudevent()
    assert pointers(event["data"], "application/json", **binary(event, ce_id=sent)) == ["/id"]


def test_a_trace_comes_from_its_own_header_or_from_the_event() -> None:
    event = cloudevent()
    ours, other = (f"00-{digit * 32}-{digit * 16}-01" for digit in "ab")
    for headers in ({"traceparent": ours}, {"ce_traceparent": ours, "traceparent": other}):
        posted = read(event["data"], "application/json", **binary(event), **headers)
        assert isinstance(posted, Event)
        assert posted.traceparent == ours


@given(st.lists(st.sampled_from([cloudevent(), cloudevent(type="nonsense"), None, 7, []]), max_size=6))
def test_a_batch_keeps_its_order_and_judges_each_item_alone(items: list[Any]) -> None:
    posted = read(items, BATCH)
    assert isinstance(posted, Batch)
    good = [isinstance(item, dict) and item["type"] != "nonsense" for item in items]
    assert [isinstance(item, Event) for item in posted.items] == good


@pytest.mark.parametrize("value", [{}, "x", 1, None])
def test_a_batch_is_a_list(value: Any) -> None:
    assert pointers(value, BATCH) == [""]


@pytest.mark.parametrize(
    "content_type",
    ["", ";", "text/json", "application/cloudevents", "application/cloudevents+xml", "application/json-seq"],
)
def test_any_other_content_type_is_named_with_those_that_are_accepted(content_type: str) -> None:
    with pytest.raises(UnknownForm) as caught:
        read(opportunity(), content_type)
    assert all(accepted in str(caught.value) for accepted in ACCEPTED_TYPES)
