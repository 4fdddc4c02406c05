"""CloudEvents on Kafka: whatever a record holds, it is an event or it is refused with the reason."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import http as http_oracle
from cloudevents.core.bindings import kafka as oracle
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from services.domain.cloudevents import from_http_binary, from_kafka, to_kafka
from services.domain.event import STRUCTURED, Event, EventType, canonical_json, parse_cloudevent
from services.domain.problems import Invalid
from tests.rig.samples import cloudevent, opportunities, opportunity

STRUCTURED_HEADER = ("content-type", STRUCTURED.encode())
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"

KNOWN = (
    "content-type Content-Type traceparent CE_ID ce_id ce_source ce_type ce_specversion ce_time ce_subject "
    "ce_data ce_datacontenttype ce_data_base64 ce_"
)
names = st.text(max_size=12) | st.sampled_from(KNOWN.split())
good_values = st.sampled_from(
    [b"1.0", b"opportunity.published", b"opportunity.withdrawn", b"application/json", STRUCTURED.encode()]
)
headers = st.lists(st.tuples(names, st.none() | st.binary(max_size=20) | good_values), max_size=12)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
almost = st.builds(
    lambda name, value: {**cloudevent(), name: value}, st.sampled_from([*cloudevent()]), documents
)
bodies = (
    st.none()
    | st.binary(max_size=40)
    | (documents | almost | opportunities()).map(lambda value: json.dumps(value).encode())
)
attributes = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
instants = st.integers(0, 2**32).map(lambda second: datetime.fromtimestamp(second, UTC))
written = st.builds(
    lambda data, kind, identity, source, time: CloudEvent(
        {
            "id": identity,
            "source": source,
            "type": str(kind),
            "specversion": "1.0",
            "subject": data["id"],
            "time": time,
            "datacontenttype": "application/json",
        },
        data,
    ),
    opportunities(),
    st.sampled_from([EventType.PUBLISHED, EventType.UPDATED]),
    attributes,
    attributes,
    instants,
)


def same(event: Event, expected: Any) -> None:
    """Check our reading of an event against the event as the `cloudevents` package has it."""
    assert (event.id, event.source, event.type) == (
        expected.get_id(),
        expected.get_source(),
        expected.get_type(),
    )
    assert (event.subject, event.time) == (expected.get_subject(), expected.get_time())
    assert event == parse_cloudevent({**event.as_cloudevent(), "data": expected.get_data()})


def refused(given_headers: Any, value: bytes | None) -> list[str]:
    with pytest.raises(Invalid) as caught:
        from_kafka(given_headers, value)
    return [problem.pointer for problem in caught.value.problems]


def explained(invalid: Invalid) -> None:
    """Check that a refusal says something, and nothing that the dead letters could not hold."""
    assert invalid.problems
    assert str(invalid).encode()
    assert "\x00" not in str(invalid)


def binary(event: dict[str, Any], **changes: bytes | None) -> list[tuple[str, bytes | None]]:
    plain = {f"ce_{name}": event[name].encode() for name in ("specversion", "id", "source", "type", "time")}
    return [*{**plain, "content-type": b"application/json", **changes}.items()]


@given(headers, bodies)
def test_any_record_is_an_event_or_invalid(given_headers: Any, value: bytes | None) -> None:
    try:
        event = from_kafka(given_headers, value)
    except Invalid as invalid:
        explained(invalid)
        return
    assert isinstance(event, Event)
    key, again, ours = to_kafka(event)
    assert key == event.subject.encode()
    assert from_kafka(ours, again) == event


@given(st.dictionaries(names, st.text(max_size=20), max_size=12), st.binary(max_size=40))
def test_any_request_in_binary_mode_is_an_event_or_invalid(given_headers: Any, body: bytes) -> None:
    named = {name.replace("ce_", "ce-"): value for name, value in given_headers.items()}
    try:
        assert isinstance(from_http_binary(named, body), Event)
    except Invalid as invalid:
        explained(invalid)


@given(written)
def test_structured_mode_of_the_cloudevents_package_is_read_as_it_was_meant(event: CloudEvent) -> None:
    message = oracle.to_structured_event(event)
    same(from_kafka([*message.headers.items()], message.value), event)


@given(written)
def test_binary_mode_of_the_cloudevents_package_is_read_as_it_was_meant(event: CloudEvent) -> None:
    message = oracle.to_binary_event(event)
    same(from_kafka([*message.headers.items()], message.value), event)
    request = http_oracle.to_binary_event(event)
    same(from_http_binary(request.headers, request.body), event)


@given(written)
def test_the_cloudevents_package_reads_what_we_write(event: CloudEvent) -> None:
    message = oracle.to_structured_event(event)
    ours = from_kafka([*message.headers.items()], message.value)
    key, value, given_headers = to_kafka(ours)
    read = oracle.from_kafka_event(oracle.KafkaMessage(headers=dict(given_headers), key=key, value=value))
    same(ours, read)
    assert read.get_extension("partitionkey") == ours.subject


def test_structured_mode_wins_over_attributes_beside_it() -> None:
    event = cloudevent()
    beside = [("ce_id", b"other"), ("ce_type", b"nonsense"), ("ce_specversion", b"0.3"), ("ce_data", b"x")]
    for kind in (STRUCTURED, "Application/CloudEvents+JSON; charset=UTF-8", "application/cloudevents"):
        given_headers = [*beside, ("Content-Type", kind.encode())]
        assert from_kafka(given_headers, canonical_json(event)) == parse_cloudevent(event)


@pytest.mark.parametrize("given_headers", [None, [], [("x", None)], [("content-type", b"application/json")]])
def test_an_event_is_told_by_its_value_where_no_header_says_so(given_headers: Any) -> None:
    event = cloudevent()
    assert from_kafka(given_headers, canonical_json(event)) == parse_cloudevent(event)


@pytest.mark.parametrize("given_headers", [None, [STRUCTURED_HEADER], binary(cloudevent())])
def test_a_tombstone_is_refused(given_headers: Any) -> None:
    with pytest.raises(Invalid, match="tombstone"):
        from_kafka(given_headers, None)


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "ce_subject"])
@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", b"a\x00b"])
def test_an_attribute_without_a_good_value_is_pointed_at(name: str, value: bytes | None) -> None:
    event = cloudevent()
    given_headers = binary(event, **{name: value})
    assert refused(given_headers, canonical_json(event["data"])) == ["/" + name.removeprefix("ce_")]


def test_an_attribute_that_is_not_ours_may_hold_anything() -> None:
    event = cloudevent()
    more = [("ce_partitionkey", None), ("x", b"\xff"), ("", b""), ("ce_é", b"\x00"), ("tracestate", None)]
    given_headers = [*binary(event), *more]
    assert from_kafka(given_headers, canonical_json(event["data"])) == parse_cloudevent(event)


def test_the_last_of_two_headers_with_one_name_counts() -> None:
    event = cloudevent()
    given_headers = [("ce_id", b"first"), ("CE_ID", b"second"), *binary(event)]
    assert from_kafka(given_headers, canonical_json(event["data"])).id == event["id"]


def test_a_withdrawal_in_binary_mode_needs_no_value_but_its_subject() -> None:
    event = cloudevent(type="opportunity.withdrawn")
    given_headers = binary(event, ce_subject=b"opdracht-1")
    assert from_kafka(given_headers, b"").subject == "opdracht-1"
    assert refused(binary(event), b"") == ["/data/id"]


def test_a_trace_is_written_as_header_and_as_attribute() -> None:
    event = parse_cloudevent(cloudevent(traceparent=TRACE))
    _, value, given_headers = to_kafka(event)
    assert ("traceparent", TRACE.encode()) in given_headers
    assert json.loads(value)["traceparent"] == TRACE
    given_event = cloudevent()
    read = from_kafka(
        [*binary(given_event), ("traceparent", TRACE.encode())], canonical_json(given_event["data"])
    )
    assert read.traceparent == TRACE


def test_null_attributes_count_as_left_out() -> None:
    event = cloudevent(data=opportunity())
    unset = dict.fromkeys(("subject", "time", "datacontenttype", "data_base64", "traceparent"))
    read = from_kafka([STRUCTURED_HEADER], canonical_json({**event, **unset}))
    assert (read.subject, read.time) == (event["data"]["id"], None)
