"""Publishing one event over HTTP: its forms, its identity, and what is kept of it."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from services.domain.event import BATCH, STRUCTURED
from services.runtime.database import Pool
from tests.integration.web import PROBLEM, Answer, Api, count_events, serving
from tests.rig.samples import SOURCE, cloudevent, opportunity


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(pool) as served:
        yield served


def accepted(answer: Answer) -> UUID:
    """Check that it was taken in as new, and give its id."""
    assert (answer.status, answer.body["status"]) == (202, "accepted")
    assert sorted(answer.body) == ["id", "status"]
    return UUID(answer.body["id"])


async def stored(pool: Pool, event_id: UUID) -> Any:
    return await pool.fetchrow("SELECT * FROM events WHERE id = $1", event_id)


async def test_a_structured_event_is_remembered_with_an_id_of_ours(api: Api, pool: Pool) -> None:
    event = cloudevent(
        data=opportunity(id="opdracht-1", version=3), traceparent=f"00-{'a' * 32}-{'b' * 16}-01"
    )
    event_id = accepted(await api.publish(event))
    assert (event_id.version, event_id.variant) == (7, "specified in RFC 4122")
    row = await stored(pool, event_id)
    assert (row["source"], row["ce_id"], row["subject"]) == (SOURCE, event["id"], "opdracht-1")
    assert (row["type"], row["version"], row["accepted_by"]) == ("opportunity.published", 3, "http")
    assert row["time"].isoformat() == "2027-01-12T08:00:00+00:00"
    assert row["deadline"].isoformat() == "2099-06-30T10:00:00+00:00"
    assert row["traceparent"] == event["traceparent"]


async def test_ids_are_given_in_the_order_of_acceptance(api: Api) -> None:
    first, second = [accepted(await api.publish(cloudevent())) for _ in range(2)]
    assert first.int >> 80 <= second.int >> 80


@pytest.mark.parametrize(
    "content_type", [f"{STRUCTURED}; charset=UTF-8", STRUCTURED.title(), f"{STRUCTURED} ;x=1"]
)
async def test_parameters_and_case_of_the_content_type_do_not_matter(api: Api, content_type: str) -> None:
    accepted(await api.post(cloudevent(), content_type))


async def test_a_bare_opportunity_gets_the_identity_of_its_id_and_version(api: Api, pool: Pool) -> None:
    row = await stored(pool, accepted(await api.post(opportunity(id="opdracht-7", version=2))))
    assert (row["source"], row["ce_id"], row["type"]) == (SOURCE, "opdracht-7:2", "opportunity.published")
    assert row["subject"] == "opdracht-7"
    assert row["time"].isoformat() == "2027-01-12T08:00:00+00:00"


async def test_a_bare_opportunity_and_the_same_event_in_structured_mode_are_one(api: Api) -> None:
    data = opportunity(version=1)
    first = await api.post(data)
    again = await api.publish(cloudevent(id=f"{data['id']}:1", data=data))
    assert again.body == {"id": str(accepted(first)), "status": "duplicate"}


async def test_an_event_posted_as_plain_json_is_read_as_the_event_it_says_it_is(api: Api, pool: Pool) -> None:
    event = cloudevent(type="opportunity.updated")
    row = await stored(pool, accepted(await api.post(event)))
    assert (row["ce_id"], row["type"]) == (event["id"], "opportunity.updated")


def binary(event: dict[str, Any], **changes: str) -> dict[str, str]:
    """Give the `ce-` headers of an event (HTTP protocol binding section 3.1.3)."""
    names = ("specversion", "id", "source", "type", "subject", "time")
    return {f"ce_{name}": quote(str(event[name]), safe="/:+") for name in names if name in event} | changes


async def test_binary_mode_and_structured_mode_are_the_same_event(api: Api) -> None:
    event = cloudevent(id='with space, 100% and "quotes"')
    headers = binary(event)
    assert headers["ce_id"] == "with%20space%2C%20100%25%20and%20%22quotes%22"
    event_id = accepted(await api.post(event["data"], "application/json; charset=utf-8", **headers))
    assert (await api.publish(event)).body == {"id": str(event_id), "status": "duplicate"}


async def test_a_binary_header_in_double_quotes_is_what_stands_between_them(api: Api, pool: Pool) -> None:
    event = cloudevent()
    headers = binary(event, ce_id=r'"a \"quoted\" id%21"')
    row = await stored(pool, accepted(await api.post(event["data"], **headers)))
    assert row["ce_id"] == 'a "quoted" id!'


async def test_the_content_type_of_binary_mode_is_read_without_regard_to_case(api: Api) -> None:
    event = cloudevent()
    accepted(await api.post(event["data"], "Application/JSON; Charset=UTF-8", **binary(event)))


@pytest.mark.parametrize("missing", ["ce_specversion", "ce_id", "ce_source", "ce_type"])
async def test_an_event_in_binary_mode_without_a_required_header_is_refused(
    api: Api, pool: Pool, missing: str
) -> None:
    event = cloudevent(type="opportunity.withdrawn")
    headers = binary(event)
    del headers[missing]
    answer = await api.post(event["data"], **headers)
    assert answer.status == 422
    assert answer.pointers == ["/" + missing.removeprefix("ce_")]
    assert await count_events(pool) == 0


async def test_a_header_of_binary_mode_alone_makes_it_no_bare_opportunity(api: Api, pool: Pool) -> None:
    answer = await api.post(opportunity(), ce_type="opportunity.withdrawn")
    assert answer.status == 422
    assert answer.pointers == ["/specversion", "/id", "/source"]
    assert await count_events(pool) == 0


async def test_a_withdrawal_needs_no_more_than_its_subject(api: Api, pool: Pool) -> None:
    event = cloudevent(type="opportunity.withdrawn", subject="opdracht-9")
    del event["data"]
    row = await stored(pool, accepted(await api.publish(event)))
    assert (row["subject"], row["data"]) == ("opdracht-9", {"id": "opdracht-9"})


async def test_optional_attributes_that_are_null_count_as_left_out(api: Api) -> None:
    unset = dict.fromkeys(("subject", "time", "datacontenttype", "dataschema", "data_base64", "traceparent"))
    accepted(await api.publish({**cloudevent(), **unset}))


async def test_the_same_event_again_is_a_duplicate_whatever_its_attributes_and_order(api: Api) -> None:
    event = cloudevent()
    event_id = accepted(await api.publish(event))
    other = dict(reversed({**event, "time": "2028-01-01T00:00:00Z", "subject": event["data"]["id"]}.items()))
    for again in (event, other):
        answer = await api.publish(again)
        assert (answer.status, answer.body) == (202, {"id": str(event_id), "status": "duplicate"})


@pytest.mark.parametrize(
    "change",
    [
        {"type": "opportunity.updated"},
        {"data": {"title": "Anders"}},
        {"data": {"version": 2}},
        {"data": {"of_ours": [1, 2]}},
    ],
)
async def test_the_same_identity_with_other_content_is_refused_and_changes_nothing(
    api: Api, pool: Pool, change: dict[str, Any]
) -> None:
    event = cloudevent()
    event_id = accepted(await api.publish(event))
    before = await pool.fetch("SELECT * FROM events")
    data = {**event["data"], **change.get("data", {})}
    answer = await api.publish({**event, **change, "data": data})
    assert (answer.status, answer.headers["Content-Type"]) == (409, PROBLEM)
    assert (answer.body["status"], answer.body["id"]) == (409, str(event_id))
    assert await pool.fetch("SELECT * FROM events") == before


async def test_the_same_id_of_another_source_is_another_event(api: Api) -> None:
    event = cloudevent()
    first, second = await api.publish(event), await api.publish({**event, "source": "urn:other"})
    assert accepted(first) != accepted(second)


async def test_unknown_fields_are_kept_as_they_came(api: Api, pool: Pool) -> None:
    extra = {"sandbox": {"fase": [1, 2.5, None, True, "é 😀"]}, "Ünknown": "", "big": 10**60}
    data = opportunity(**extra, buyer={"name": "Stad", "nis_code": "11002"})
    row = await stored(pool, accepted(await api.post(data)))
    assert {name: row["data"][name] for name in extra} == extra
    assert row["data"]["buyer"] == {"name": "Stad", "nis_code": "11002"}


async def test_a_byte_order_mark_before_the_json_is_passed_over(api: Api) -> None:
    accepted(await api.post(b"\xef\xbb\xbf" + json.dumps(cloudevent()).encode(), STRUCTURED))


async def test_an_instant_with_any_offset_that_can_be_written_is_kept(api: Api, pool: Pool) -> None:
    data = opportunity(deadline="2099-06-30T12:00:00+23:59")
    event = cloudevent(data=data, time="2027-01-12T09:00:00-23:59")
    row = await stored(pool, accepted(await api.publish(event)))
    assert row["deadline"].isoformat() == "2099-06-29T12:01:00+00:00"
    assert row["time"].isoformat() == "2027-01-13T08:59:00+00:00"


async def test_a_batch_of_one_is_answered_as_a_list(api: Api) -> None:
    answer = await api.post([cloudevent()], BATCH)
    assert answer.status == 202
    assert [item["status"] for item in answer.body] == ["accepted"]
