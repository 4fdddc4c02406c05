"""The event: its identity, its content, and that it comes through the wire as it went in."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.cloudevents import from_http_binary, from_kafka, to_kafka
from services.domain.event import EventType, bare_event, canonical_json, parse_cloudevent
from services.domain.problems import Invalid
from tests.rig.samples import SOURCE, cloudevent, opportunities, opportunity

attributes = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=500)
times = st.none() | st.integers(0, 2**32).map(lambda second: datetime.fromtimestamp(second, UTC).isoformat())
traceparents = st.none() | st.from_regex(
    r"\A[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z", fullmatch=True
)
events = st.builds(
    cloudevent, id=attributes, source=attributes, time=times, traceparent=traceparents, data=opportunities()
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def pointers(attributes: object) -> list[str]:
    """Give the pointers of all that is wrong with it."""
    with pytest.raises(Invalid) as caught:
        parse_cloudevent(attributes)
    return [problem.pointer for problem in caught.value.problems]


def shuffled(value: Any) -> Any:
    """Turn the order of all keys around."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(events)
def test_an_event_written_as_a_cloudevent_reads_as_the_same_event(given_event: dict[str, Any]) -> None:
    event = parse_cloudevent(given_event)
    again = parse_cloudevent(json.loads(canonical_json(event.as_cloudevent())))
    assert again == event
    assert again.content_hash == event.content_hash


@given(events)
def test_an_event_comes_through_kafka_as_it_went_in(given_event: dict[str, Any]) -> None:
    event = parse_cloudevent(given_event)
    key, value, headers = to_kafka(event)
    assert key == event.subject.encode()
    assert from_kafka(headers, value) == event


@given(events)
def test_binary_mode_says_the_same_as_structured_mode(given_event: dict[str, Any]) -> None:
    structured = parse_cloudevent(given_event)
    names = [n for n in given_event if n not in ("data", "datacontenttype")]
    ours = {f"ce-{name}": given_event[name].replace("%", "%25").replace(chr(34), "%22") for name in names}
    headers = {"Content-Type": "application/json", **ours}
    assert from_http_binary(headers, json.dumps(given_event["data"]).encode()) == structured


@given(events)
def test_the_order_of_keys_does_not_change_the_content(given_event: dict[str, Any]) -> None:
    turned = parse_cloudevent(shuffled(given_event))
    assert turned.content_hash == parse_cloudevent(given_event).content_hash


@given(events, attributes, times)
def test_identity_and_time_do_not_change_the_content(
    given_event: dict[str, Any], other: str, time: str | None
) -> None:
    changed = parse_cloudevent(given_event | {"id": other, "source": other, "time": time})
    assert changed.content_hash == parse_cloudevent(given_event).content_hash


@given(opportunities(), opportunities())
def test_other_content_has_another_hash(one: dict[str, Any], two: dict[str, Any]) -> None:
    hashes = {bare_event(data, source=SOURCE).content_hash for data in (one, two)}
    assert len(hashes) == 2
    updated = cloudevent(type="opportunity.updated", data=one)
    assert parse_cloudevent(updated).content_hash not in hashes


@given(anything, st.sampled_from(["", *cloudevent()]))
def test_whatever_comes_in_is_an_event_or_a_list_of_problems(value: Any, name: str) -> None:
    event = cloudevent()
    with suppress(Invalid):
        assert parse_cloudevent(event | {name: value} if name else value).subject == event["data"]["id"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"id": ""}, "/id"),
        ({"id": "x" * 501}, "/id"),
        ({"id": "a\r\nb"}, "/id"),
        ({"source": None}, "/source"),
        ({"source": "Ünïcode"}, "/source"),
        ({"type": "opportunity.deleted"}, "/type"),
        ({"type": None}, "/type"),
        ({"time": "2027-01-12T12:00:00"}, "/time"),
        ({"time": "yesterday"}, "/time"),
        ({"time": 1_800_000_000}, "/time"),
        ({"subject": "another"}, "/subject"),
        ({"datacontenttype": "text/xml"}, "/datacontenttype"),
        ({"data_base64": "e30="}, "/data_base64"),
        ({"data": []}, "/data"),
        ({"data": opportunity(title=None)}, "/data/title"),
    ],
)
def test_a_bad_attribute_is_pointed_at(changes: dict[str, Any], pointer: str) -> None:
    given_event = {k: v for k, v in (cloudevent() | changes).items() if v is not None}
    assert pointers(given_event) == [pointer]


@pytest.mark.parametrize("value", [None, [], "text", 7])
def test_what_is_not_an_object_is_refused_as_a_whole(value: object) -> None:
    assert pointers(value) == [""]


@pytest.mark.parametrize("kind", ["withdrawn", "closed", "awarded"])
def test_a_notice_needs_no_more_than_the_id(kind: str) -> None:
    bare = {k: v for k, v in cloudevent(type=f"opportunity.{kind}").items() if k != "data"}
    event = parse_cloudevent(bare | {"subject": "opdracht-1"})
    assert (event.subject, event.version, event.data) == ("opdracht-1", 1, {"id": "opdracht-1"})
    assert pointers(bare) == ["/data/id"]
    assert pointers(bare | {"subject": "a", "data": {"id": "b"}}) == ["/subject"]


def test_a_bad_trace_is_ignored_and_a_good_one_kept() -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    assert parse_cloudevent(cloudevent(traceparent=trace)).traceparent == trace
    assert parse_cloudevent(cloudevent(traceparent="00-nonsense")).traceparent is None


@given(opportunities(), st.integers(1, 1_000_000))
def test_a_bare_opportunity_is_published_under_its_id_and_version(data: dict[str, Any], version: int) -> None:
    event = bare_event(data | {"version": version}, source=SOURCE)
    assert event.type is EventType.PUBLISHED
    assert (event.source, event.id) == (SOURCE, f"{data['id']}:{version}")
    assert (event.subject, event.version) == (data["id"], version)
    assert event.deadline == datetime.fromisoformat(data["deadline"])


@pytest.mark.parametrize(
    "changes",
    [
        *({"estimated_value": {"amount": amount}} for amount in ("0.1", 0.1, 1e14, "1E+3", "-0")),
        {"estimated_value": {"amount": "99999999999999.9999"}},
        {"estimated_value": {"amount": "999999999999999.9999"}},
        {"themes": ["İ" * 100]},
        {"title": {"nl": "kade", "en": "  "}},
    ],
)
def test_what_is_accepted_at_the_door_is_the_same_event_after_kafka(changes: dict[str, Any]) -> None:
    try:
        event = bare_event(opportunity(**changes), source=SOURCE)
    except Invalid:
        return  # refused at the door, so nothing is lost
    _, value, headers = to_kafka(event)
    assert from_kafka(headers, value).content_hash == event.content_hash
