"""What the service says of itself: schemas, descriptions, health and metrics."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.domain.delivery import State
from services.domain.event import BATCH, STRUCTURED, EventType, parse_cloudevent
from services.domain.opportunity import Opportunity
from services.runtime.database import Pool
from tests.integration.json_schema import KEYWORDS, fits, resolve, subschemas
from tests.integration.web import Api, serving
from tests.rig.samples import cloudevent, opportunity


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(pool, whole=True, public_url="https://omroeper.example/") as served:
        yield served


async def page(api: Api, path: str) -> Any:
    answer = await api.get(path, key=None)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    return answer.body


async def test_the_schema_of_an_opportunity_is_one_and_names_every_field(api: Api) -> None:
    schema = await page(api, "/schemas/opportunity.json")
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "https://omroeper.example/schemas/opportunity.json"
    assert set(schema["properties"]) == set(Opportunity.model_fields)
    assert set(schema["required"]) == {"id", "title"}
    for inner in subschemas(schema):
        assert set(inner) <= KEYWORDS
        if "$ref" in inner:
            assert resolve(schema, inner["$ref"])
        if "pattern" in inner:
            re.compile(inner["pattern"])


async def test_an_opportunity_we_accept_fits_the_schema_and_one_we_refuse_does_not(api: Api) -> None:
    schema = await page(api, "/schemas/opportunity.json")
    good: list[dict[str, Any]] = [
        opportunity(),
        opportunity(title="Alleen Nederlands", extra={"anything": [1, None]}),
        opportunity(buyer={"name": "Stad", "kbo": "0207.500.123", "ovo_code": "OVO000001", "more": 1}),
        {"id": "a", "title": {"fr": "Quai"}},
    ]
    bad: list[dict[str, Any]] = [
        opportunity(id=None),
        opportunity(title={}),
        opportunity(title={"nederlands": "x"}),
        opportunity(title="x" * 401),
        opportunity(version=0),
        opportunity(nature="poetry"),
        opportunity(cpv=["7200"]),
        opportunity(estimated_value={"amount": -1}),
        opportunity(documents=[{"title": "zonder link"}]),
    ]
    for data in good:
        assert (await api.post(data)).status == 202
        assert fits(schema, data), data
    for data in bad:
        assert (await api.post(data)).status == 422
        assert not fits(schema, data), data


async def test_what_is_stored_fits_the_schema(api: Api, pool: Pool) -> None:
    schema = await page(api, "/schemas/opportunity.json")
    await api.post(opportunity(estimated_value={"amount": "139000.50"}, title="Kade", regions=[" be211 "]))
    assert fits(schema, await pool.fetchval("SELECT data FROM events"))


async def test_the_description_of_the_topics_names_them_and_every_type(pool: Pool) -> None:
    async with serving(pool, events_topic="opdrachten", status_topic="toestand") as api:
        described = await page(api, "/asyncapi")
    assert described["asyncapi"] == "3.0.0"
    addresses = {channel["address"] for channel in described["channels"].values()}
    assert addresses == {"opdrachten", "toestand"}
    for part in (*described["channels"].values(), *described["operations"].values()):
        references = [part["channel"]] if "channel" in part else part["messages"].values()
        assert all(resolve(described, reference["$ref"]) for reference in references)
    event, notice, status = described["components"]["messages"].values()
    told = [*event["payload"]["properties"]["type"]["enum"], *notice["payload"]["properties"]["type"]["enum"]]
    assert sorted(told) == sorted(EventType)
    assert status["payload"]["properties"]["type"]["enum"] == [f"delivery.{state}" for state in State]


async def test_an_event_fits_the_description_of_its_message(api: Api) -> None:
    described = await page(api, "/asyncapi")
    payload = described["components"]["messages"]["opportunityEvent"]["payload"]
    data = payload["properties"]["data"]
    written = parse_cloudevent(cloudevent()).as_cloudevent()
    assert fits({**payload, "$defs": data["$defs"]}, written)
    assert not fits({**payload, "$defs": data["$defs"]}, {**written, "type": "opportunity.renamed"})


async def test_an_award_that_tells_what_came_of_it_fits_the_schema_of_notices(api: Api) -> None:
    schema = await page(api, "/schemas/notice.json")
    described = await page(api, "/asyncapi")
    notice = described["components"]["messages"]["opportunityNotice"]["payload"]["properties"]["data"]
    assert notice == schema
    assert schema["$id"] == "https://omroeper.example/schemas/notice.json"
    assert all(schema["properties"][name]["description"] for name in ("proposals", "startup_won"))
    good: list[dict[str, Any]] = [
        {"proposals": 0},
        {"proposals": 7, "startup_won": True},
        {"startup_won": False},
        {"more": "kept"},
    ]
    bad: list[dict[str, Any]] = [
        {"proposals": -1},
        {"proposals": "7"},
        {"proposals": 7.5},
        {"startup_won": "yes"},
    ]
    for said in good:
        data = {"id": "opdracht-1", **said}
        answer = await api.publish(cloudevent(type="opportunity.awarded", data=data))
        assert (answer.status, fits(schema, data)) == (202, True), said
    for said in bad:
        data = {"id": "opdracht-1", **said}
        answer = await api.publish(cloudevent(type="opportunity.awarded", data=data))
        assert (answer.status, fits(schema, data)) == (422, False), said
        assert answer.pointers == [f"/data/{name}" for name in said]


async def test_the_description_of_the_api_loads_and_tells_how_to_publish(api: Api) -> None:
    described = await page(api, "/openapi.json")
    assert described["openapi"].startswith("3.")
    publish = described["paths"]["/v1/events"]["post"]
    assert set(publish["requestBody"]["content"]) == {STRUCTURED, BATCH, "application/json"}
    assert {"202", "409", "413", "415", "422"} <= set(publish["responses"])
    for path, methods in described["paths"].items():
        for operation in methods.values():
            assert bool(operation.get("security")) == path.startswith("/v1/"), path
    ((_, scheme),) = described["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


async def test_the_references_in_the_description_of_the_api_lead_somewhere(api: Api) -> None:
    described = await page(api, "/openapi.json")
    references = set(_references(described))
    assert "/schemas/opportunity.json" in references
    for reference in references:
        if reference.startswith("#"):
            assert resolve(described, reference)
        else:
            assert (await api.get(reference, key=None)).status == 200


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [reference for item in value for reference in _references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [reference for item in value.values() for reference in _references(item)]


async def test_the_documentation_is_a_page(api: Api) -> None:
    answer = await api.get("/docs", key=None)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


async def test_the_metrics_can_be_read_by_prometheus(api: Api) -> None:
    answer = await api.get("/metrics", key=None)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    names = {family.name for family in text_string_to_metric_families(answer.body)}
    assert any(name.startswith("omroeper_") for name in names)


async def test_answers_do_not_tell_which_server_gives_them(api: Api) -> None:
    assert "Server" not in (await api.get("/healthz", key=None)).headers
