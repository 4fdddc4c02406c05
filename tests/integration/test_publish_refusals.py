"""What is not published: the status says what kind of mistake it is, a pointer says where."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from services.domain.event import STRUCTURED
from services.runtime.database import Pool
from tests.integration.web import KEY, PROBLEM, Answer, Api, count_events, serving
from tests.rig.samples import cloudevent, opportunity

LIMIT = 20_000


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(pool, body_limit_bytes=LIMIT) as served:
        yield served
        assert await count_events(pool) == 0


def check(answer: Answer, status: int) -> None:
    assert (answer.status, answer.headers["Content-Type"]) == (status, PROBLEM)
    assert answer.body["status"] == status
    assert answer.body["detail"]


FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"id": None}, "/id"),
    ({"id": ""}, "/id"),
    ({"id": "met spatie"}, "/id"),
    ({"id": "x" * 201}, "/id"),
    ({"id": 7}, "/id"),
    ({"version": 0}, "/version"),
    ({"version": 10**30}, "/version"),
    ({"version": "1.5"}, "/version"),
    ({"title": None}, "/title"),
    ({"title": {}}, "/title"),
    ({"title": "   "}, "/title"),
    ({"title": "twee\nregels"}, "/title"),
    ({"title": "x" * 401}, "/title"),
    ({"title": {"nederlands": "x"}}, "/title/nederlands"),
    ({"title": {"nl": 5}}, "/title/nl"),
    ({"summary": "x" * 4_001}, "/summary"),
    ({"summary": "bel \x07"}, "/summary"),
    ({"buyer": {"url": "https://stad.example/"}}, "/buyer/name"),
    ({"buyer": {"name": "Stad", "ovo_code": "OVO1"}}, "/buyer/ovo_code"),
    ({"buyer": {"name": "Stad", "kbo": "BE0123"}}, "/buyer/kbo"),
    ({"nature": "poetry"}, "/nature"),
    ({"estimated_value": {"amount": -1}}, "/estimated_value/amount"),
    ({"estimated_value": {"amount": 10**400}}, "/estimated_value/amount"),
    ({"estimated_value": {"amount": 1, "currency": "euro"}}, "/estimated_value/currency"),
    ({"cpv": ["72000000", "7200"]}, "/cpv/1"),
    ({"regions": ["Antwerpen"]}, "/regions/0"),
    ({"themes": ["x"] * 51}, "/themes"),
    ({"deadline": "2099-06-30T12:00:00"}, "/deadline"),
    ({"deadline": "2099-06-30"}, "/deadline"),
    ({"deadline": "morgen"}, "/deadline"),
    ({"deadline": "9999-12-31T23:59:59Z"}, "/deadline"),
    ({"published_at": "2027-02-30T00:00:00Z"}, "/published_at"),
    ({"url": "http://marketplace.example/1"}, "/url"),
    ({"url": "javascript:alert(1)"}, "/url"),
    ({"url": "https://user:pass@marketplace.example/"}, "/url"),
    ({"contact": {"email": "geen adres"}}, "/contact/email"),
    ({"documents": [{"url": "https://a.example/"}, {"title": "zonder link"}]}, "/documents/1/url"),
]


ATTRIBUTES: list[tuple[dict[str, Any], str]] = [
    ({"specversion": None}, "/specversion"),
    ({"specversion": "0.3"}, "/specversion"),
    ({"specversion": 1.0}, "/specversion"),
    ({"id": None}, "/id"),
    ({"id": ""}, "/id"),
    ({"id": "é"}, "/id"),
    ({"id": 5}, "/id"),
    ({"id": "x" * 501}, "/id"),
    ({"source": None}, "/source"),
    ({"source": " begint met een spatie"}, "/source"),
    ({"type": None}, "/type"),
    ({"type": "opportunity.renamed"}, "/type"),
    ({"type": ["opportunity.published"]}, "/type"),
    ({"time": "2027-01-12T09:00:00"}, "/time"),
    ({"time": "gisteren"}, "/time"),
    ({"time": 1768204800}, "/time"),
    ({"datacontenttype": "text/xml"}, "/datacontenttype"),
    ({"data_base64": "e30="}, "/data_base64"),
    ({"subject": "een-andere-opdracht"}, "/subject"),
    ({"data": [1]}, "/data"),
    ({"type": "opportunity.withdrawn", "data": {"version": 2}}, "/data/id"),
    ({"type": "opportunity.withdrawn", "data": "x"}, "/data"),
]


async def test_every_bad_field_is_pointed_at_bare_and_below_data(api: Api) -> None:
    for changes, pointer in FIELDS:
        data = opportunity(**changes)
        bare, structured = await api.post(data), await api.publish(cloudevent(data=data))
        for answer in (bare, structured):
            check(answer, 422)
        found = (bare.pointers, structured.pointers)
        assert (changes, *found) == (changes, [pointer], ["/data" + pointer])


async def test_every_bad_attribute_is_pointed_at(api: Api) -> None:
    for changes, pointer in ATTRIBUTES:
        answer = await api.publish(cloudevent(**changes))
        check(answer, 422)
        assert (changes, answer.pointers) == (changes, [pointer])


async def test_all_that_is_wrong_is_told_at_once(api: Api) -> None:
    data = opportunity(title="", deadline="2099-06-30T12:00:00", url="http://a.example/")
    answer = await api.publish(cloudevent(id="", data=data))
    check(answer, 422)
    assert answer.pointers == ["/id", "/data/title", "/data/deadline", "/data/url"]
    assert "3 more" in answer.body["detail"]


def _with(raw: bytes) -> bytes:
    """Put raw JSON in an opportunity, in a field that nobody interprets."""
    return json.dumps(opportunity(extra="HERE")).encode().replace(b'"HERE"', raw)


UNREADABLE = {
    "nothing": b"",
    "half": b"{",
    "two": b"{} {}",
    "xml": b"<xml/>",
    "null": b"null",
    "a list": b"[]",
    "NaN": _with(b"NaN"),
    "infinity": _with(b"-Infinity"),
    "too large for a float": _with(b"1e400"),
    "a number of 5000 digits": _with(b"9" * 5_000),
    "NUL": _with(rb'"\u0000"'),
    "NUL in a name": _with(rb'{"a\u0000b": 1}'),
    "half a surrogate pair": _with(rb'"\ud800"'),
    "not UTF-8": _with(b'"\xff"'),
    "overlong UTF-8": _with(b'"\xc0\x80"'),
    "deep": _with(b"[" * 51 + b"]" * 51),
    "very deep": b"[" * 9_000 + b"]" * 9_000,
    "very deep objects": b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
    "UTF-16": json.dumps(opportunity()).encode("utf-16"),
}


async def test_what_cannot_be_read_or_kept_is_refused_whole(api: Api) -> None:
    for name, raw in UNREADABLE.items():
        for answer in (await api.post(raw), await api.post(raw, STRUCTURED)):
            check(answer, 422)
            assert (name, answer.pointers) == (name, [""])


async def test_an_answer_does_not_repeat_the_refused_value(api: Api) -> None:
    answer = await api.post(opportunity(contact={"email": "iemand zonder@@ adres"}))
    assert "iemand" not in json.dumps(answer.body)


async def test_another_content_type_is_refused_with_those_that_are_accepted(api: Api) -> None:
    for kind in (
        "text/plain",
        "application/cloudevents+avro",
        "multipart/form-data",
        "application/jsonp",
        ";",
    ):
        answer = await api.post(opportunity(), kind)
        check(answer, 415)
        assert STRUCTURED in answer.body["detail"]


async def test_no_content_type_is_refused(api: Api) -> None:
    answer = await api.ask("POST", "/v1/events", data=json.dumps(opportunity()).encode())
    check(answer, 415)


async def test_a_body_just_within_the_limit_is_read_and_one_byte_more_is_not(api: Api) -> None:
    assert (await api.post(b" " * LIMIT)).status == 422
    answer = await api.post(b" " * (LIMIT + 1))
    check(answer, 413)
    assert str(LIMIT) in answer.body["detail"]


async def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(api: Api) -> None:
    async def without_end() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 4_096

    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    try:
        answer = await api.ask("POST", "/v1/events", headers=headers, data=without_end())
        assert answer.status == 413
    except aiohttp.ClientConnectionError:
        pass  # hung up on while still sending; nobody reads without end
    assert (await api.get("/healthz")).status == 200


async def test_a_chunked_body_that_ends_above_the_limit_is_answered(api: Api) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b" " * LIMIT
        yield b"{"

    check(
        await api.ask("POST", "/v1/events", headers={"Content-Type": "application/json"}, data=chunks()), 413
    )
