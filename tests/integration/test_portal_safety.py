"""What the portal does not do, on any of its routes: for strangers, for other sites, for hostile texts."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from services.runtime.database import Pool
from services.runtime.vault import Vault
from services.storage import people, probes
from services.subscribers.portal import site
from services.subscribers.portal.routes import PAGES
from tests.integration.owing import settings_for
from tests.integration.portal_visits import House, Town, Visitor, town
from tests.rig.samples import opportunity

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\" onmouseover=\"alert(2)"


def _routes() -> list[tuple[str, str]]:
    """Find every route of the portal by itself, so that none is forgotten."""
    settings = settings_for("")
    flat: list[Any] = [site.router(None, Vault(settings), settings)]  # type: ignore[arg-type]
    found = []
    while flat:
        item = flat.pop()
        if isinstance(item, APIRouter):
            flat += item.routes
        elif isinstance(item, APIRoute):
            found += [(method, item.path) for method in item.methods or ()]
        elif inner := getattr(item, "original_router", getattr(item, "router", None)):
            flat.append(inner)
    return sorted((method, path) for method, path in found if path.startswith("/portal"))


ROUTES = _routes()
POSTS = [path for method, path in ROUTES if method == "POST" and "{rest" not in path]
PRIVATE = [
    (method, path)
    for method, path in ROUTES
    if "{rest" not in path
    and not path.startswith(("/portal/sign-", "/portal/language", "/portal/left", "/portal/choose"))
]
WITH_IDS = [(method, path) for method, path in PRIVATE if "{" in path]


@pytest.fixture
async def here(pool: Pool) -> AsyncIterator[Town]:
    async with town(pool) as opened:
        yield opened


async def places(here: Town, house: House) -> dict[str, str]:
    """Give a house one of everything, and name it as the paths of routes do."""
    async with here.pool.acquire() as connection, connection.transaction():
        person = await people.add(connection, house.id, f"Els {HOSTILE}"[:200], f"els@{house.slug}.example")
        probe = await probes.ask(connection, house.webhook, "test")
    await here.books.plan(data=opportunity(title={"nl": HOSTILE}, buyer={"name": HOSTILE}))
    delivery = await here.pool.fetchval("SELECT id FROM deliveries WHERE subscription_id = $1", house.webhook)
    return {
        "subscription": str(house.email),
        "webhook": str(house.webhook),
        "delivery": str(delivery),
        "person": str(person),
        "probe": str(probe),
        "token": house.link,
    }


def filled(path: str, ids: dict[str, str]) -> str:
    """Put the ids of somebody's things in the place of a route's parameters."""
    webhook = any(word in path for word in ("/webhook", "/secret", "/test"))
    named = {
        "subscription_id": ids["webhook" if webhook else "subscription"],
        "delivery_id": ids["delivery"],
        "person_id": ids["person"],
        "probe_id": ids["probe"],
        "token": "x" * 43,
    }
    return path.format(**named)


_STATE = """
SELECT jsonb_build_array(
  (SELECT jsonb_agg(to_jsonb(s) ORDER BY id) FROM subscriptions s),
  (SELECT jsonb_agg(to_jsonb(r) ORDER BY id) FROM subscribers r),
  (SELECT jsonb_agg(to_jsonb(p) ORDER BY id) FROM people p),
  (SELECT jsonb_agg(to_jsonb(d) ORDER BY id) FROM deliveries d),
  (SELECT jsonb_agg(to_jsonb(t)) FROM feed_tokens t),
  (SELECT count(*) FROM webhook_secrets), (SELECT count(*) FROM probes),
  (SELECT count(*) FROM letters), (SELECT count(*) FROM sessions))"""


async def state(here: Town) -> Any:
    """Look at all that a visitor could change."""
    return await here.pool.fetchval(_STATE)


def test_the_routes_are_found() -> None:
    assert ("POST", "/portal/leave") in PRIVATE
    assert len(POSTS) >= 20
    assert len(WITH_IDS) >= 15


async def test_strangers_are_sent_to_sign_in_from_every_page(here: Town) -> None:
    ids = await places(here, await here.house())
    before = await state(here)
    for method, path in PRIVATE:
        visitor = here.visitor()
        visitor.cookies["omroeper_session"] = "made-up"
        await visitor.get("/portal/sign-in")
        ask = visitor.get if method == "GET" else visitor.post
        for cookie in ("made-up", ""):
            visitor.cookies["omroeper_session"] = cookie
            page = await ask(filled(path, ids))
            assert (page.status, page.to) == (303, "/portal/sign-in"), (method, path)
    assert await state(here) == before


async def test_what_is_another_houses_is_not_there_on_any_route(here: Town) -> None:
    mine, theirs = await here.house(), await here.house()
    ids = await places(here, theirs)
    visitor = await here.signed_in(mine)
    before = await state(here)
    for method, path in WITH_IDS:
        await visitor.get("/portal")
        ask = visitor.get if method == "GET" else visitor.post
        page = await ask(filled(path, ids))
        assert page.status == 404, (method, path)
        assert theirs.slug not in page.text, (method, path)
    assert await state(here) == before


@pytest.mark.parametrize(
    "bad", ["nope", "%00", "01890a5d-ac96-774b-bcce-b302099a8057", "..%2F..", "é", "' OR 1=1 --"]
)
async def test_an_id_that_is_none_is_a_page_that_is_not_there(here: Town, bad: str) -> None:
    visitor = await here.signed_in(await here.house())
    for method, path in WITH_IDS:
        await visitor.get("/portal")
        ask = visitor.get if method == "GET" else visitor.post
        page = await ask(re.sub(r"\{\w+\}", bad, path))
        assert (page.status, "Deze pagina is er niet" in page.words) == (404, True), (method, path)


async def test_a_form_without_its_token_changes_nothing(here: Town) -> None:
    house = await here.house()
    ids = await places(here, house)
    visitor, other = await here.signed_in(house), await here.signed_in(house)
    await visitor.get("/portal")
    await other.get("/portal")
    before = await state(here)
    for path in POSTS:
        for token in ("", "x", other.token, visitor.token[:-1], visitor.token + "x", "é"):
            page = await visitor.post(filled(path, ids), {"sure": "1", "action": "pause"}, token=token)
            assert (page.status, "Er is niets veranderd" in page.words) == (403, True), (path, token)
    assert await state(here) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://omroeper.example.evil.example"},
    ],
)
async def test_a_form_from_elsewhere_changes_nothing_although_it_has_the_token(
    here: Town, headers: dict[str, str]
) -> None:
    house = await here.house()
    ids = await places(here, house)
    visitor = await here.signed_in(house)
    await visitor.get("/portal")
    before, token = await state(here), visitor.token
    for path in POSTS:
        page = await visitor.post(filled(path, ids), {"sure": "1"}, token=token, **headers)
        assert page.status == 403, path
    assert await state(here) == before


async def test_a_form_from_here_is_taken(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    for headers in ({"sec_fetch_site": "same-origin"}, {"origin": "http://omroeper.example"}, {}):
        await visitor.get("/portal")
        page = await visitor.post(f"/portal/subscriptions/{house.email}/pause", **headers)
        assert page.to.endswith("?done=paused")


def paths(ids: dict[str, str], link: str) -> dict[str, str]:
    """Fill in every page of the list that the portal keeps."""
    named = {**ids, "token": ids["token"]}
    return {page.name: (link if page.name == "sign_in_link" else page.path.format(**named)) for page in PAGES}


async def every_page(here: Town) -> AsyncIterator[tuple[str, Any]]:
    house = await here.house(f"Huis {HOSTILE}"[:200])
    ids = await places(here, house)
    visitor, stranger = await here.signed_in(house), here.visitor()
    await stranger.fill("/portal/sign-in", {"email": house.contact})
    link = (await here.letters())[-1]["shown"]["link"].removeprefix("http://omroeper.example")
    for page in PAGES:
        who = visitor if page.needs == "session" else stranger
        yield page.name, await who.get(paths(ids, link)[page.name])


class _Attributes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {name for name, _ in attrs}


def attributes(text: str) -> set[str]:
    """Name the attributes that a browser finds."""
    parser = _Attributes()
    parser.feed(text)
    return parser.names


async def test_no_page_runs_or_loads_anything_of_others(here: Town) -> None:
    async for name, page in every_page(here):
        assert page.status == (404 if name == "missing" else 200), name
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy, name
        assert "frame-ancestors 'none'" in policy, name
        assert "unsafe" not in policy, name
        assert page.headers["cache-control"] == "no-store", name
        assert page.headers["referrer-policy"] in ("same-origin", "no-referrer"), name
        assert page.headers["x-content-type-options"] == "nosniff", name
        scripts = re.findall(r"<script[^>]*>", page.text)
        assert all(re.match(r'<script src="/static/[a-z.]+\?v=[0-9a-f]{16}" defer>', tag) for tag in scripts)
        assert attributes(page.text).isdisjoint({"style", "srcdoc"}), name
        assert not [found for found in attributes(page.text) if found.startswith("on")], name
        assert not re.search(r"<style|javascript:|<iframe|<img src=x", page.text), name


async def test_every_page_says_its_language_and_has_one_heading(here: Town) -> None:
    async for name, page in every_page(here):
        assert '<html lang="nl">' in page.text, name
        assert page.headers["content-language"] == "nl", name
        assert page.text.count("<h1") == 1, name
        assert page.text.count("<main") == 1, name
        assert re.search(r"<title>[^<]+ · Omroeper</title>", page.text), name


async def test_hostile_texts_are_shown_and_do_nothing(here: Town) -> None:
    found = 0
    async for _, page in every_page(here):
        found += "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page.text
        assert "<script>alert" not in page.text
    assert found >= 5


async def test_the_language_is_chosen_and_stays(here: Town) -> None:
    house = await here.house()
    async with here.pool.acquire() as connection:
        await people.add(connection, house.id, "Els", "els@huis.example")
    visitor = await here.signed_in(house, "els@huis.example")
    await visitor.get("/portal/people")
    page = await visitor.post("/portal/language", {"language": "en", "to": "/portal/people"})
    assert page.to == "/portal/people"
    assert "Who may sign in" in (await visitor.get("/portal/people")).words
    assert await here.pool.fetchval("SELECT language FROM people") == "en"
    elsewhere = await here.signed_in(house, "els@huis.example")
    assert '<html lang="en">' in (await elsewhere.get("/portal")).text


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example",
        "/portal//evil",
        "/\\evil.example",
        "\x00",
        "",
        "/v1/events",
        "/portal\r\nSet-Cookie: a=b",
    ],
)
async def test_the_switch_of_languages_leads_nowhere_else(here: Town, to: str) -> None:
    visitor = here.visitor()
    page = await visitor.fill("/portal/sign-in", {})
    page = await visitor.post("/portal/language", {"language": "en", "to": to})
    assert (page.status, page.to) == (303, "/portal")


async def test_a_language_that_we_do_not_speak_changes_nothing(here: Town) -> None:
    visitor = here.visitor()
    await visitor.get("/portal/sign-in")
    page = await visitor.post("/portal/language", {"language": "xx\r\n", "to": "/portal/sign-in"})
    assert "omroeper_language" not in page.cookies


async def test_a_form_that_is_too_large_or_no_form_is_refused_kindly(here: Town) -> None:
    visitor = await here.signed_in(await here.house())
    await visitor.get("/portal/people")
    page = await visitor.post("/portal/people", {"name": "x" * 70_000})
    assert (page.status, "te groot" in page.words) == (413, True)
    page = await visitor.post("/portal/people", {}, content_type="multipart/form-data; boundary=x")
    assert page.status == 403


async def test_files_of_pages_are_kept_for_good_under_the_name_of_their_content(here: Town) -> None:
    visitor = here.visitor()
    text = (await visitor.get("/portal/sign-in")).text
    names = set(re.findall(r'"(/static/[^"]+)"', text))
    assert len(names) == 4
    for name in names:
        page = await visitor.get(name)
        assert (page.status, page.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
        assert (await visitor.get(name, if_none_match=page.headers["etag"])).status == 304
        old = await visitor.get(name.partition("?")[0] + "?v=0123456789abcdef")
        assert old.headers["cache-control"] == "public, no-cache"
    assert (await visitor.get("/static/..%2Fpages%2Fbase.html.j2")).status == 404
    assert (await visitor.get("/static/nothing.css")).status == 404


async def test_a_session_is_of_no_use_for_the_api(here: Town) -> None:
    visitor: Visitor = await here.signed_in(await here.house())
    assert (await visitor.get("/v1/subscribers")).status == 401


async def test_ids_of_the_list_of_pages_are_those_of_routes() -> None:
    patterns = {re.sub(r"\{\w+\}", "*", path) for method, path in ROUTES if method == "GET"}
    listed = {re.sub(r"\{\w+\}", "*", page.path) for page in PAGES if page.path.startswith("/portal")}
    partials = {"/portal/{rest:path}"}
    assert patterns - partials == listed - {"/portal/nowhere"}
