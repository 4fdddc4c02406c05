"""Publishing under pressure: many at once, and a database that goes away and comes back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.runtime.database import Pool, open_pool
from tests.integration.web import PROBLEM, Api, count_events, serving
from tests.rig.postgres import socket_of, through
from tests.rig.proxy import Proxy
from tests.rig.samples import cloudevent, opportunity


@asynccontextmanager
async def behind_a_proxy(database_url: str) -> AsyncIterator[tuple[Api, Proxy]]:
    """Serve on a database that can be cut off."""
    async with (
        Proxy(socket_of(database_url)) as proxy,
        open_pool(through(database_url, proxy.port)) as pool,
        serving(pool) as api,
    ):
        yield api, proxy


async def test_of_fifty_equal_posts_at_once_exactly_one_is_accepted(pool: Pool) -> None:
    event = cloudevent()
    async with serving(pool) as api:
        answers = await asyncio.gather(*(api.publish(event) for _ in range(50)))
    assert {answer.status for answer in answers} == {202}
    assert Counter(answer.body["status"] for answer in answers) == {"accepted": 1, "duplicate": 49}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert await count_events(pool) == 1


async def test_of_posts_that_differ_at_once_one_content_wins_and_the_others_conflict(pool: Pool) -> None:
    event = cloudevent()
    variants = [{**event, "data": {**event["data"], "title": f"Titel {n % 5}"}} for n in range(30)]
    async with serving(pool) as api:
        answers = await asyncio.gather(*map(api.publish, variants))
    told = Counter(str(answer.body["status"]) for answer in answers)
    assert told == {"accepted": 1, "duplicate": 5, "409": 24}
    (winner,) = [n for n, answer in enumerate(answers) if answer.body["status"] == "accepted"]
    title = await pool.fetchval("SELECT data -> 'title' ->> 'nl' FROM events")
    assert title == variants[winner]["data"]["title"]


async def test_fifty_different_events_at_once_are_all_remembered(pool: Pool) -> None:
    async with serving(pool) as api:
        answers = await asyncio.gather(*(api.post(opportunity()) for _ in range(50)))
    assert {answer.body["status"] for answer in answers} == {"accepted"}
    assert await count_events(pool) == len({answer.body["id"] for answer in answers}) == 50


@pytest.mark.parametrize("bootstrap", [True, False])
async def test_with_the_database_away_nothing_is_accepted_and_the_answer_says_to_try_again(
    database_url: str, pool: Pool, bootstrap: bool
) -> None:
    event = cloudevent()
    async with behind_a_proxy(database_url) as (api, proxy):
        assert (await api.publish(cloudevent())).status == 202
        await proxy.cut()
        # another key than the bootstrap key is looked up, which fails before the event is read
        key = {} if bootstrap else {"Authorization": "Bearer omr_another"}
        for answer in (
            await api.post(event, "application/cloudevents+json", **key),
            await api.post([event], "application/cloudevents-batch+json", **key),
            await api.get("/v1/events", headers=key),
        ):
            assert (answer.status, answer.headers["Content-Type"]) == (503, PROBLEM)
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.body["status"] == 503
        assert await count_events(pool) == 1
        await proxy.heal()
        assert (await api.publish(event)).body["status"] == "accepted"
        assert await count_events(pool) == 2


async def test_readiness_says_why_not_and_health_stays_well_while_the_database_is_away(
    database_url: str,
) -> None:
    async with behind_a_proxy(database_url) as (api, proxy):
        ready = await api.get("/readyz", key=None)
        assert (ready.status, ready.body) == (200, {"status": "ready", "missing": []})
        await proxy.cut()
        away = await api.get("/readyz", key=None)
        assert (away.status, away.body["status"]) == (503, "not ready")
        (reason,) = away.body["missing"]
        assert reason.startswith("database: ")
        assert "127.0.0.1" not in reason
        alive = await api.get("/healthz", key=None)
        assert (alive.status, alive.body) == (200, {"status": "alive"})
        await proxy.heal()
        assert (await api.get("/readyz", key=None)).status == 200


async def test_a_database_with_an_older_schema_is_not_ready(pool: Pool) -> None:
    async with serving(pool) as api:
        versions = await pool.fetch("DELETE FROM migrations RETURNING *")
        assert versions
        answer = await api.get("/readyz", key=None)
    assert answer.status == 503
    assert "omroeper migrate" in answer.body["missing"][0]


async def test_a_network_that_swallows_everything_leaves_other_requests_served(
    database_url: str, pool: Pool
) -> None:
    async with behind_a_proxy(database_url) as (api, proxy):
        assert (await api.get("/readyz", key=None)).status == 200
        proxy.freeze()
        hanging = asyncio.create_task(api.publish(cloudevent()))
        assert (await api.get("/healthz", key=None)).status == 200
        assert (await api.post(b"not json")).status == 422
        assert not hanging.done()
        await proxy.cut()
        assert (await hanging).status == 503
        await proxy.heal()
        assert (await api.publish(cloudevent())).status == 202
    assert await count_events(pool) == 1
