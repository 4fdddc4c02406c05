"""The ledger over HTTP: each event, who was owed it and why, and how each delivery stands."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.runtime.database import Pool
from services.storage import planning
from tests.integration.web import PROBLEM, Api, serving
from tests.rig.samples import SOURCE, cloudevent, opportunity

LEDGER = {
    "id",
    "type",
    "subject",
    "accepted_at",
    "planned_at",
    "matched",
    "states",
    "receipts",
    "channels",
    "deliveries",
    "next",
}
DELIVERY = {
    "id",
    "subscriber",
    "subscription",
    "channel",
    "state",
    "attempts",
    "next_attempt_at",
    "reason",
}


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(pool, whole=True, webhook_allow_networks="127.0.0.0/8") as served:
        yield served


async def subscribe(api: Api, slug: str, *subscriptions: dict[str, Any]) -> list[str]:
    """Register a subscriber over the API, and give the ids of its subscriptions."""
    who = {"slug": slug, "name": slug.title(), "kind": "incubator", "contact": f"hallo@{slug}.example"}
    assert (await post(api, "/v1/subscribers", who)).status == 201
    answers = [await post(api, f"/v1/subscribers/{slug}/subscriptions", one) for one in subscriptions]
    assert [answer.status for answer in answers] == [201] * len(answers)
    return [answer.body["id"] for answer in answers]


async def post(api: Api, path: str, body: Any) -> Any:
    headers = {"Content-Type": "application/json"}
    return await api.ask("POST", path, headers=headers, data=json.dumps(body).encode())


def mail(address: str, **more: Any) -> dict[str, Any]:
    return {"channel": "email", "target": address, **more}


async def plan(pool: Pool, event_id: str) -> None:
    """Plan an event, as the dispatcher does."""
    async with pool.acquire() as connection, connection.transaction():
        await planning.plan(connection, [UUID(event_id)])


async def test_an_event_that_is_not_planned_yet_owes_nobody_anything(api: Api) -> None:
    event = cloudevent(data=opportunity(id="opdracht-1", version=4))
    event_id = (await api.publish(event)).body["id"]
    answer = await api.get(f"/v1/events/{event_id}")
    assert answer.status == 200
    assert set(answer.body) >= LEDGER
    body = answer.body
    assert (body["id"], body["type"], body["subject"]) == (event_id, "opportunity.published", "opdracht-1")
    assert (body["version"], body["source"], body["event_id"]) == (4, SOURCE, event["id"])
    assert (body["planned_at"], body["matched"], body["deliveries"], body["next"]) == (None, 0, [], None)
    assert (body["states"], body["channels"]) == ({}, {})
    assert body["accepted_at"].endswith(("Z", "+00:00"))


async def test_a_planned_event_shows_each_delivery_and_why_it_is_owed(api: Api, pool: Pool) -> None:
    (tech, _) = await subscribe(
        api,
        "havenlab",
        mail("ideeen@havenlab.example", filter={"cpv": ["72"], "regions": ["BE2"]}),
        mail("nooit@havenlab.example", filter={"regions": ["NL"]}),
    )
    (hook,) = await subscribe(api, "de-kaai", {"channel": "webhook", "target": "http://127.0.0.1:9/hook"})
    event_id = (await api.publish(cloudevent())).body["id"]
    await plan(pool, event_id)
    body = (await api.get(f"/v1/events/{event_id}")).body
    assert body["planned_at"] is not None
    assert (body["matched"], body["states"]) == (2, {"pending": 2})
    assert body["channels"] == {"email": {"pending": 1}, "webhook": {"pending": 1}}
    assert all(set(delivery) >= DELIVERY for delivery in body["deliveries"])
    by_subscription = {delivery["subscription"]: delivery for delivery in body["deliveries"]}
    assert set(by_subscription) == {tech, hook}
    delivery = by_subscription[tech]
    assert (delivery["subscriber"], delivery["channel"]) == ("havenlab", "email")
    assert (delivery["state"], delivery["attempts"], delivery["next_attempt_at"]) == ("pending", 0, None)
    assert "BE2" in delivery["reason"]
    assert "72" in delivery["reason"]
    assert UUID(delivery["id"]).version == 7


async def test_the_ledger_holds_no_addresses(api: Api, pool: Pool) -> None:
    await subscribe(api, "havenlab", mail("ideeen@havenlab.example"))
    event_id = (await api.publish(cloudevent())).body["id"]
    await plan(pool, event_id)
    body = (await api.get(f"/v1/events/{event_id}")).body
    assert body["matched"] == 1
    assert "@" not in str(body)


async def test_the_deliveries_of_an_event_are_paged_each_exactly_once(api: Api, pool: Pool) -> None:
    mails = [mail(f"adres-{n}@havenlab.example") for n in range(7)]
    subscriptions = await subscribe(api, "havenlab", *mails)
    event_id = (await api.publish(cloudevent())).body["id"]
    await plan(pool, event_id)
    seen: list[str] = []
    pages, cursor = 0, ""
    while cursor is not None:
        page = (await api.get(f"/v1/events/{event_id}?limit=3{cursor and '&cursor='}{cursor}")).body
        assert (page["matched"], page["states"]) == (7, {"pending": 7})
        seen += [delivery["subscription"] for delivery in page["deliveries"]]
        pages, cursor = pages + 1, page["next"]
    assert (pages, len(seen)) == (3, 7)
    assert set(seen) == set(subscriptions)


async def test_the_events_are_listed_newest_first_each_exactly_once(api: Api, pool: Pool) -> None:
    published = [(await api.publish(cloudevent())).body["id"] for _ in range(7)]
    await subscribe(api, "havenlab", mail("ideeen@havenlab.example"))
    await plan(pool, published[3])
    listed: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        page = (await api.get(f"/v1/events?limit=3{cursor and '&cursor='}{cursor}")).body
        listed += page["items"]
        cursor = page["next"]
        # what comes in meanwhile stands before the first page, and moves nothing
        await api.publish(cloudevent())
    ids = [item["id"] for item in listed]
    assert sorted(ids) == sorted(published)
    assert ids == sorted(ids, reverse=True)
    assert {item["id"]: item["matched"] for item in listed}[published[3]] == 1
    assert sum(item["matched"] for item in listed) == 1
    assert listed[0]["title"] == "Slimme sensoren voor de kade"


async def test_a_page_that_ends_exactly_at_the_end_is_followed_by_an_empty_one_at_most(api: Api) -> None:
    for _ in range(2):
        await api.publish(cloudevent())
    page = (await api.get("/v1/events?limit=2")).body
    after = (
        (await api.get(f"/v1/events?limit=2&cursor={page['next']}")).body if page["next"] else {"items": []}
    )
    assert (len(page["items"]), after["items"]) == (2, [])


async def test_a_withdrawal_without_a_title_is_shown_under_its_id(api: Api) -> None:
    event = cloudevent(type="opportunity.withdrawn", data={"id": "opdracht-5"})
    event_id = (await api.publish(event)).body["id"]
    assert (await api.get(f"/v1/events/{event_id}")).body["title"] == "opdracht-5"
    assert (await api.get("/v1/events")).body["items"][0]["title"] == "opdracht-5"


async def test_an_unknown_event_is_not_found(api: Api) -> None:
    answer = await api.get(f"/v1/events/{uuid4()}")
    assert (answer.status, answer.headers["Content-Type"]) == (404, PROBLEM)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/events/not-a-uuid", "/event_id"),
        ("/v1/events/%00", "/event_id"),
        ("/v1/events?cursor=abc", "/cursor"),
        ("/v1/events?cursor=", "/cursor"),
        ("/v1/events?limit=0", "/limit"),
        ("/v1/events?limit=1001", "/limit"),
        ("/v1/events?limit=many", "/limit"),
        ("/v1/events/0196b2c4-0000-7000-8000-000000000000?cursor=%27%3B--", "/cursor"),
    ],
)
async def test_a_bad_id_cursor_or_limit_is_pointed_at(api: Api, path: str, pointer: str) -> None:
    answer = await api.get(path)
    assert (answer.status, answer.headers["Content-Type"]) == (422, PROBLEM)
    assert answer.pointers == [pointer]
