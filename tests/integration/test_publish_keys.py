"""Who may ask what: every route under /v1 needs a key, and a key with the right scope."""

import re
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from services.runtime.database import Pool
from services.runtime.web.auth import SCOPES
from services.storage import api_keys
from tests.integration.web import KEY, PROBLEM, Answer, Api, add_key, count_events, serving
from tests.rig.samples import opportunity

READ = {"read", "operate"}
REGISTRY = {"registry"}
#: What each route needs: any one of these scopes.
NEEDS = {
    ("POST", "/v1/events"): {"publish"},
    ("GET", "/v1/events"): READ,
    ("GET", "/v1/events/{event_id}"): READ,
    ("GET", "/v1/deliveries"): READ,
    ("GET", "/v1/deliveries/{delivery_id}"): READ,
    ("POST", "/v1/deliveries/{delivery_id}/retry"): {"operate"},
    ("POST", "/v1/replays"): {"operate"},
    ("GET", "/v1/passings"): READ,
    ("GET", "/v1/subscribers"): READ | REGISTRY,
    ("POST", "/v1/subscribers"): REGISTRY,
    ("GET", "/v1/subscribers/{slug}"): READ | REGISTRY,
    ("PATCH", "/v1/subscribers/{slug}"): REGISTRY,
    ("DELETE", "/v1/subscribers/{slug}"): REGISTRY,
    ("GET", "/v1/subscribers/{slug}/export"): REGISTRY,
    ("GET", "/v1/subscribers/{slug}/people"): READ | REGISTRY,
    ("POST", "/v1/subscribers/{slug}/people"): REGISTRY,
    ("DELETE", "/v1/subscribers/{slug}/people/{person_id}"): REGISTRY,
    ("GET", "/v1/subscribers/{slug}/subscriptions"): READ | REGISTRY,
    ("POST", "/v1/subscribers/{slug}/subscriptions"): REGISTRY,
    ("GET", "/v1/subscriptions/{subscription_id}"): READ | REGISTRY,
    ("PATCH", "/v1/subscriptions/{subscription_id}"): REGISTRY,
    ("DELETE", "/v1/subscriptions/{subscription_id}"): REGISTRY,
    ("POST", "/v1/subscribers/{slug}/feed-token"): REGISTRY,
    ("POST", "/v1/bounces"): {"operate"},
    ("GET", "/v1/suppressions"): READ,
    ("POST", "/v1/suppressions/{subscription_id}/release"): {"operate"},
    ("POST", "/v1/subscriptions/{subscription_id}/pause"): REGISTRY,
    ("POST", "/v1/subscriptions/{subscription_id}/resume"): REGISTRY,
    ("POST", "/v1/subscriptions/{subscription_id}/rotate-secret"): REGISTRY,
    ("POST", "/v1/subscriptions/{subscription_id}/test"): REGISTRY,
    ("POST", "/v1/subscriptions/{subscription_id}/verify"): REGISTRY,
    ("GET", "/v1/subscriptions/{subscription_id}/probes/{probe_id}"): READ | REGISTRY,
}


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(pool, whole=True) as served:
        yield served


def check(answer: Answer, status: int) -> None:
    assert (answer.status, answer.headers["Content-Type"]) == (status, PROBLEM)
    assert answer.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)


async def routes(api: Api) -> list[tuple[str, str]]:
    """List what the service itself says it answers under /v1."""
    described = (await api.get("/openapi.json", key=None)).body["paths"]
    found = [(method.upper(), path) for path, methods in described.items() for method in methods]
    return [route for route in found if route[1].startswith("/v1")]


def filled(path: str) -> str:
    """Put something that does not exist in the path's parameters."""
    return re.sub(r"\{\w+_id\}", str(uuid4()), path).replace("{slug}", "nobody")


async def test_the_table_of_scopes_names_every_route(api: Api) -> None:
    assert set(NEEDS) == set(await routes(api))


async def test_no_route_answers_without_a_key(api: Api) -> None:
    for method, path in await routes(api):
        check(await api.ask(method, filled(path), key=None, data=b"{}"), 401)


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic b21yOg==", f"Token {KEY}", KEY, "Bearer \xe9\xff", f"Bearer {KEY}x"],
)
async def test_what_is_not_a_known_key_lets_nobody_in(api: Api, authorization: str) -> None:
    for method, path in (("POST", "/v1/events"), ("GET", "/v1/events")):
        check(await api.ask(method, path, key=None, headers={"Authorization": authorization}), 401)


async def test_a_key_in_the_query_or_in_a_cookie_is_no_key(api: Api) -> None:
    check(await api.get(f"/v1/events?key={KEY}&access_token={KEY}&api_key={KEY}", key=None), 401)
    check(await api.get("/v1/events", key=None, headers={"Cookie": f"Authorization=Bearer {KEY}"}), 401)


@pytest.mark.parametrize("scope", list(SCOPES))
async def test_a_key_does_what_its_scope_allows_and_nothing_else(api: Api, pool: Pool, scope: str) -> None:
    key = await add_key(pool, scope)
    for (method, path), needs in NEEDS.items():
        answer = await api.ask(method, filled(path), key=key, data=b"{}")
        if scope in needs:
            assert answer.status not in (401, 403), (method, path)
        else:
            check(answer, 403)
            assert all(name in answer.body["detail"] for name in needs)
    assert await count_events(pool) == 0


async def test_a_key_with_two_scopes_does_what_either_allows(api: Api, pool: Pool) -> None:
    key = await add_key(pool, "publish", "read")
    assert (await api.ask("POST", "/v1/events", key=key, data=b"{}")).status == 415
    assert (await api.get("/v1/events", key=key)).status == 200
    check(await api.ask("POST", "/v1/replays", key=key, data=b"{}"), 403)


async def test_a_revoked_key_lets_nobody_in_from_that_moment(api: Api, pool: Pool) -> None:
    key, other = await add_key(pool, "read"), await add_key(pool, "read")
    assert (await api.get("/v1/events", key=key)).status == 200
    async with pool.acquire() as connection:
        listed: list[UUID] = [row["id"] for row in await api_keys.list_all(connection)]
        assert await api_keys.revoke(connection, listed[0])
        assert not await api_keys.revoke(connection, listed[0])
    check(await api.get("/v1/events", key=key), 401)
    assert (await api.get("/v1/events", key=other)).status == 200


async def test_the_database_holds_no_key(pool: Pool) -> None:
    key = await add_key(pool, "read")
    assert key.startswith("omr_")
    rows = await pool.fetch("SELECT api_keys::text AS whole FROM api_keys")
    assert all(key not in row["whole"] and key[4:] not in row["whole"] for row in rows)


async def test_without_a_bootstrap_key_the_empty_key_is_unknown(pool: Pool) -> None:
    async with serving(pool, api_key="") as api:
        check(await api.get("/v1/events", key=""), 401)
        check(await api.get("/v1/events", key=KEY), 401)


async def test_a_key_is_asked_for_before_the_body_is_read(api: Api, pool: Pool) -> None:
    reader = await add_key(pool, "read")
    large = b"x" * (api.settings.body_limit_bytes + 1)
    for key, status in ((None, 401), (reader, 403)):
        check(await api.ask("POST", "/v1/events", key=key, data=large), status)


async def test_what_anybody_may_see_needs_no_key(api: Api) -> None:
    for path in (
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/asyncapi",
        "/schemas/opportunity.json",
    ):
        assert (await api.get(path, key=None)).status == 200


async def test_an_unknown_path_or_method_is_a_problem_too(api: Api) -> None:
    for method, path, status in (("GET", "/v2/events", 404), ("PUT", "/v1/events", 405)):
        check(await api.ask(method, path, data=b"{}"), status)
    assert (await api.post(opportunity())).status == 202
