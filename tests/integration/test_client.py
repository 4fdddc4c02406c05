"""The typed client: against our own publisher, and against servers that answer as they are told."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from services.domain.event import BATCH, STRUCTURED
from services.publisher.client import Published, PublisherClient, PublisherUnavailable, PublishRefused
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from tests.integration.web import KEY, Api, add_key, count_events, serving
from tests.rig.process import free_port
from tests.rig.receiver import DROP, HANG, Receiver, Reply
from tests.rig.samples import cloudevent, opportunity

PATH = "/v1/events"
DONE = Reply(202, {"Content-Type": "application/json"}, b'{"id": "ours", "status": "accepted"}')


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(pool) as served:
        yield served


@pytest.fixture
async def server() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


def client(url: str, *, key: str = KEY, **more: Any) -> PublisherClient:
    return PublisherClient(url, key, **more)


async def test_an_event_and_a_bare_opportunity_are_published(api: Api, pool: Pool) -> None:
    event, bare = cloudevent(), opportunity()
    async with client(api.url + "/") as omroeper:
        first, second = await omroeper.publish(event), await omroeper.publish(bare)
        again = await omroeper.publish(event)
    assert (first.status, second.status) == ("accepted", "accepted")
    assert again == Published(first.id, "duplicate")
    rows = await pool.fetch("SELECT id::text, ce_id FROM events")
    assert {row["id"]: row["ce_id"] for row in rows} == {
        first.id: event["id"],
        second.id: f"{bare['id']}:1",
    }


async def test_a_batch_tells_of_each_event_what_became_of_it(api: Api, pool: Pool) -> None:
    known = cloudevent()
    async with client(api.url) as omroeper:
        await omroeper.publish(known)
        bad = cloudevent(data=opportunity(deadline="2099-06-30T12:00:00"))
        conflict = {**known, "data": {**known["data"], "title": "Anders"}}
        outcomes = await omroeper.publish_batch([cloudevent(), bad, known, conflict])
        assert await omroeper.publish_batch([]) == []
    good, refused, duplicate, conflicting = outcomes
    assert isinstance(good, Published)
    assert isinstance(duplicate, Published)
    assert (good.status, duplicate.status) == ("accepted", "duplicate")
    assert isinstance(refused, PublishRefused)
    assert isinstance(conflicting, PublishRefused)
    assert (refused.status, conflicting.status) == (422, 409)
    assert "/data/deadline: needs an offset" in str(refused)
    assert await count_events(pool) == 2


async def test_a_refusal_says_what_is_wrong_and_where(api: Api) -> None:
    async with client(api.url) as omroeper:
        with pytest.raises(PublishRefused) as caught:
            await omroeper.publish(opportunity(title={}, url="http://plain.example/"))
    assert caught.value.status == 422
    assert [error["pointer"] for error in caught.value.problem["errors"]] == ["/title", "/url"]
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("  /title: ")


async def test_a_key_that_may_not_publish_is_refused_at_once(api: Api, pool: Pool) -> None:
    for key, status in ((await add_key(pool, "read"), 403), ("omr_unknown", 401)):
        async with client(api.url, key=key) as omroeper:
            with pytest.raises(PublishRefused) as caught:
                await omroeper.publish(opportunity())
        assert caught.value.status == status
        assert key not in f"{caught.value!r} {caught.value}"


async def test_each_form_goes_out_under_its_content_type_with_the_key(server: Receiver) -> None:
    server.on(PATH, DONE, DONE, Reply(202, {"Content-Type": "application/json"}, b"[]"))
    event, bare = cloudevent(), opportunity(title="Één")
    async with client(server.url("")) as omroeper:
        await omroeper.publish(event)
        await omroeper.publish(bare)
        await omroeper.publish_batch([event])
    kinds = [request.headers["content-type"] for request in server.requests]
    assert kinds == [STRUCTURED, "application/json", BATCH]
    assert [json.loads(request.body) for request in server.requests] == [event, bare, [event]]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("first", [408, 425, 429, 500, 502, 503, 504, DROP, Reply(202, {}, b"no json")])
async def test_what_got_no_clear_answer_is_sent_again_as_it_was(
    server: Receiver, first: int | str | Reply
) -> None:
    server.on(PATH, first, first, DONE)
    async with client(server.url("")) as omroeper:
        assert await omroeper.publish(cloudevent()) == Published("ours", "accepted")
    assert len({request.body for request in server.requests}) == 1
    assert len(server.requests) >= 3


async def test_an_answer_that_never_comes_is_not_waited_for(server: Receiver) -> None:
    server.on(PATH, HANG, DONE)
    async with client(server.url(""), timeout_seconds=0.3) as omroeper:
        assert (await omroeper.publish(cloudevent())).id == "ours"
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 422])
async def test_a_refusal_is_not_sent_again(server: Receiver, status: int) -> None:
    problem = b'{"status": %d, "detail": "nee"}' % status
    server.on(PATH, Reply(status, {"Content-Type": "application/problem+json"}, problem), DONE)
    async with client(server.url("")) as omroeper:
        with pytest.raises(PublishRefused) as caught:
            await omroeper.publish(cloudevent())
    assert (caught.value.status, str(caught.value)) == (status, "nee")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, {"Content-Type": "text/html"}, b"<h1>niet van ons</h1>"),
        Reply(404, {"Content-Type": "application/json"}, b"null"),
        Reply(404, {"Content-Type": "application/json"}, b'["iets", "anders"]'),
        Reply(404, {"Content-Type": "application/json"}, b'{"errors": "geen lijst"}'),
        Reply(404, {"Content-Type": "application/json"}, b"geen json"),
        Reply(404),
    ],
)
async def test_a_refusal_of_another_server_is_told_as_far_as_it_goes(server: Receiver, reply: Reply) -> None:
    server.on(PATH, reply, DONE)
    async with client(server.url("")) as omroeper:
        with pytest.raises(PublishRefused) as caught:
            await omroeper.publish(cloudevent())
    assert str(caught.value) == "HTTP 404"
    assert len(server.requests) == 1


async def test_a_redirect_is_not_followed(server: Receiver) -> None:
    server.on(PATH, Reply(302, {"Location": server.url("/login")}))
    async with client(server.url("")) as omroeper:
        with pytest.raises(PublishRefused) as caught:
            await omroeper.publish(cloudevent())
    assert caught.value.status == 302
    assert server.to("/login") == []


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_waited_for(server: Receiver, form: str) -> None:
    date = format_datetime(utc_now() + timedelta(seconds=3), usegmt=True)
    server.on(PATH, Reply(503, {"Retry-After": "2" if form == "seconds" else date}), DONE)
    async with client(server.url("")) as omroeper:
        await omroeper.publish(cloudevent())
    first, second = server.requests
    assert second.at - first.at >= timedelta(seconds=1.9)


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "nan", "Tue, 99 Foo 2026", "Mon, 02 Mar 2026 09:30:00 -0000"]
)
async def test_a_retry_after_that_says_nothing_is_passed_over(server: Receiver, value: str) -> None:
    server.on(PATH, Reply(503, {"Retry-After": value}), DONE)
    async with client(server.url("")) as omroeper:
        assert (await omroeper.publish(cloudevent())).id == "ours"


async def test_patience_ends_and_the_event_may_be_published_later(server: Receiver) -> None:
    server.on(PATH, 503)
    async with client(server.url(""), patience_seconds=5.0) as omroeper:
        with pytest.raises(PublisherUnavailable, match="HTTP 503"):
            await omroeper.publish(cloudevent())
        assert len(server.requests) >= 2
        server.on(PATH, DONE)
        assert (await omroeper.publish(cloudevent())).id == "ours"


async def test_patience_is_not_stretched_by_a_longer_retry_after(server: Receiver) -> None:
    server.on(PATH, Reply(503, {"Retry-After": "20"}), DONE)
    async with client(server.url(""), patience_seconds=5.0) as omroeper:
        with pytest.raises(PublisherUnavailable):
            await omroeper.publish(cloudevent())
    assert len(server.requests) == 1


async def test_a_connection_that_is_refused_is_tried_until_somebody_answers() -> None:
    receiver = Receiver()
    async with client(receiver.url(""), patience_seconds=0.5) as omroeper:
        with pytest.raises(PublisherUnavailable):
            await omroeper.publish(cloudevent())
    async with receiver, client(receiver.url("")) as omroeper:
        receiver.on(PATH, DONE)
        assert (await omroeper.publish(cloudevent())).status == "accepted"


async def test_a_failure_names_the_address_and_not_the_key() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with client(url, patience_seconds=0.2) as omroeper:
        with pytest.raises(PublisherUnavailable) as caught:
            await omroeper.publish(cloudevent())
    assert url in str(caught.value)
    assert KEY not in f"{caught.value!r} {caught.value} {omroeper!r}"


async def test_an_address_that_is_none_is_not_tried_again_and_again() -> None:
    async with client("geen adres", patience_seconds=600) as omroeper, asyncio.timeout(60):
        with pytest.raises(PublisherUnavailable, match="geen adres"):
            await omroeper.publish(cloudevent())


async def test_it_is_used_as_a_context_manager() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await client("http://127.0.0.1:1").publish(cloudevent())
