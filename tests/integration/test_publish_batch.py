"""Publishing a batch: every item is judged by itself, in order."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.domain.event import BATCH
from services.runtime.database import Pool
from tests.integration.web import PROBLEM, Api, count_events, serving
from tests.rig.samples import cloudevent, opportunity


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(pool, batch_limit=20, body_limit_bytes=50_000) as served:
        yield served


def statuses(items: list[dict[str, Any]]) -> list[Any]:
    return [item["status"] for item in items]


async def test_every_event_of_a_batch_gets_an_id_in_order(api: Api, pool: Pool) -> None:
    events = [cloudevent() for _ in range(20)]
    answer = await api.publish_batch(events)
    assert answer.status == 202
    assert statuses(answer.body) == ["accepted"] * 20
    rows = await pool.fetch("SELECT id::text, ce_id FROM events")
    assert {row["id"]: row["ce_id"] for row in rows} == {
        item["id"]: event["id"] for item, event in zip(answer.body, events, strict=True)
    }


async def test_bad_items_are_problems_in_their_place_and_hold_up_no_other(api: Api, pool: Pool) -> None:
    known, conflicting = cloudevent(), cloudevent()
    await api.publish_batch([known, conflicting])
    batch = [
        cloudevent(type="opportunity.renamed"),
        cloudevent(),
        42,
        known,
        {**conflicting, "data": {**conflicting["data"], "title": "Anders"}},
        cloudevent(data=opportunity(deadline="2099-06-30T12:00:00", url="http://plain.example/")),
        opportunity(),
        cloudevent(),
        None,
    ]
    answer = await api.publish_batch(batch)
    assert answer.status == 202
    assert statuses(answer.body) == [422, "accepted", 422, "duplicate", 409, 422, 422, "accepted", 422]
    assert await count_events(pool) == 4
    pointers = [[error["pointer"] for error in item.get("errors", ())] for item in answer.body]
    assert pointers[0] == ["/type"]
    assert pointers[5] == ["/data/deadline", "/data/url"]
    assert pointers[2] == pointers[8] == [""]
    assert {"/specversion", "/id", "/source"} < {*pointers[6], "/id", "/source"}
    problem = answer.body[0]
    assert problem["type"] == "about:blank"
    assert problem["title"] == "Unprocessable Entity"


async def test_the_second_of_two_equal_events_in_a_batch_is_a_duplicate(api: Api, pool: Pool) -> None:
    event = cloudevent()
    answer = await api.publish_batch([event, cloudevent(), {**event, "time": None}])
    assert statuses(answer.body) == ["accepted", "accepted", "duplicate"]
    assert answer.body[0]["id"] == answer.body[2]["id"]
    assert await count_events(pool) == 2


async def test_the_first_of_two_events_with_one_identity_wins_and_the_other_conflicts(
    api: Api, pool: Pool
) -> None:
    event = cloudevent()
    other = {**event, "data": {**event["data"], "title": "Anders"}}
    answer = await api.publish_batch([event, other, event, other])
    assert statuses(answer.body) == ["accepted", 409, "duplicate", 409]
    assert answer.body[1]["id"] == answer.body[0]["id"]
    title = await pool.fetchval("SELECT data -> 'title' FROM events")
    assert title == event["data"]["title"]


async def test_an_empty_batch_is_accepted_and_holds_nothing(api: Api, pool: Pool) -> None:
    answer = await api.publish_batch([])
    assert (answer.status, answer.body) == (202, [])
    assert await count_events(pool) == 0


async def test_a_batch_with_nothing_good_in_it_is_answered_item_by_item(api: Api) -> None:
    answer = await api.publish_batch([1, "two", [3]])
    assert (answer.status, statuses(answer.body)) == (202, [422, 422, 422])


async def test_a_batch_longer_than_the_limit_is_refused_whole(api: Api, pool: Pool) -> None:
    answer = await api.publish_batch([cloudevent() for _ in range(21)])
    assert (answer.status, answer.headers["Content-Type"]) == (413, PROBLEM)
    assert "21 events" in answer.body["detail"]
    assert "20" in answer.body["detail"]
    assert await count_events(pool) == 0


@pytest.mark.parametrize("body", [cloudevent(), "text", 7, None])
async def test_a_batch_that_is_no_list_is_refused(api: Api, body: Any) -> None:
    answer = await api.publish_batch(body)
    assert (answer.status, answer.pointers) == (422, [""])


async def test_a_batch_that_is_no_json_is_refused(api: Api) -> None:
    answer = await api.post(b"[{},", BATCH)
    assert answer.status == 422
    assert "line 1" in answer.body["detail"]


async def test_two_batches_with_the_same_events_turned_around_do_not_lock_each_other(
    api: Api, pool: Pool
) -> None:
    events = [cloudevent() for _ in range(20)]
    batches = [events if turn % 2 else events[::-1] for turn in range(12)]
    answers = await asyncio.gather(*map(api.publish_batch, batches))
    assert {answer.status for answer in answers} == {202}
    told = [status for answer in answers for status in statuses(answer.body)]
    assert (told.count("accepted"), told.count("duplicate")) == (20, 220)
    assert await count_events(pool) == 20


async def test_an_event_too_large_for_kafka_is_refused_alone(api: Api, pool: Pool) -> None:
    # 5 characters of JSON that are 19 once they are read, so that a small body is a large event
    swollen = b'{"n":[%s]}' % b",".join([b"1e15"] * 3_000)
    large = b'{"specversion":"1.0","id":"a","source":"b","type":"opportunity.published","data":%s}' % (
        b'{"id":"c","title":"d","extra":%s}' % swollen
    )
    assert len(large) < 50_000
    answer = await api.post(b"[%s]" % large, BATCH)
    assert (answer.status, statuses(answer.body)) == (202, [413])
    alone = await api.post(large, "application/cloudevents+json")
    assert (alone.status, alone.headers["Content-Type"]) == (413, PROBLEM)
    assert await count_events(pool) == 0
