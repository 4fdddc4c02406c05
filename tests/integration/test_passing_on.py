"""Telling that an opportunity was passed on: the page, the form, programs, and who may."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest

from services.domain.passing_on import Door
from services.runtime.database import Pool
from services.runtime.passing_links import passing_links
from tests.integration.feeding import Stage, staged
from tests.integration.web import PROBLEM, Answer, add_key

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
DUTCH = "Gaf je deze opdracht door?"
ENGLISH = "Did you pass this opportunity on?"


@dataclass(frozen=True)
class Told:
    """An incubator that was told of an opportunity, and its link."""

    stage: Stage
    slug: str
    event_id: UUID
    path: str

    async def page(self, query: str = "") -> Answer:
        return await self.stage.api.get(self.path + query, key=None)

    async def post(self, fields: Any, query: str = "", **headers: str) -> Answer:
        body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        sent = {**FORM, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.stage.api.ask("POST", self.path + query, key=None, headers=sent, data=body)

    async def tell(self, body: Any) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.stage.api.ask("POST", self.path, key=None, headers=JSON, data=raw)

    async def listed(self) -> list[tuple[str, int | None]]:
        rows = (await self.stage.call("GET", f"/v1/passings?subscriber={self.slug}")).body["items"]
        return [(row["way"], row["startups"]) for row in reversed(rows)]


@pytest.fixture
async def stage(pool: Pool) -> AsyncIterator[Stage]:
    async with staged(pool) as opened:
        yield opened


@pytest.fixture
async def told(stage: Stage) -> Told:
    (event_id,) = await stage.announce({"id": "kade"})
    return await somebody(stage, "corda", event_id)


async def somebody(stage: Stage, slug: str, event_id: UUID, door: Door = Door.MAIL) -> Told:
    """Add an incubator, and write it the link that its messages about an event carry."""
    await stage.subscriber(slug)
    subscriber_id = await stage.pool.fetchval("SELECT id FROM subscribers WHERE slug = $1", slug)
    url = passing_links(stage.api.settings, door)(subscriber_id, event_id)
    assert url.startswith(f"{stage.api.url}/p/")
    return Told(stage, slug, event_id, url.removeprefix(stage.api.url))


async def count(pool: Pool) -> int:
    found: int = await pool.fetchval("SELECT count(*) FROM passings")
    return found


def radios(page: str) -> dict[str, bool]:
    """Read which ways can be chosen, and which is."""
    found = re.findall(r'<input type="radio" name="way" value="([a-z]+)"([^>]*)>', page)
    return {way: "checked" in rest for way, rest in found}


def written(page: str) -> str:
    (found,) = re.findall(r'<input class="number"[^>]* value="([^"]*)"', page)
    return str(found)


async def test_the_page_says_which_opportunity_and_for_whom_and_keeps_nothing(told: Told) -> None:
    page = await told.page()
    assert (page.status, page.headers["Content-Language"]) == (200, "nl")
    for text in (DUTCH, "Slimme sensoren voor de kade", "Stad Voorbeeld", "corda kreeg deze opdracht"):
        assert text in page.body
    assert list(radios(page.body)) == ["newsletter", "mail", "meeting", "website", "social", "chat", "other"]
    assert not any(radios(page.body).values())
    assert await told.listed() == []


async def test_the_page_runs_nothing_sets_nothing_and_leaks_its_address_to_nobody(told: Told) -> None:
    for page in (await told.page(), await told.post({"way": "mail"}), await told.post({})):
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in policy
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Robots-Tag"] == "noindex"
        assert "Set-Cookie" not in page.headers
        assert not re.search(r"<script|\bon[a-z]+=|src=|url\(", page.body)


async def test_telling_is_thanked_for_and_shown_with_a_way_to_correct_it(told: Told) -> None:
    page = await told.post({"way": "newsletter", "startups": " 1.200 "})
    assert page.status == 200
    assert "Bedankt, het is genoteerd" in page.body
    assert "In een nieuwsbrief, aan ongeveer 1.200 start-ups" in page.body
    assert await told.listed() == [("newsletter", 1200)]
    correcting = (await told.page("?way=newsletter")).body
    assert radios(correcting)["newsletter"]
    assert written(correcting) == "1200"
    await told.post({"way": "newsletter", "startups": "40"})
    await told.post({"way": "website"})
    assert await told.listed() == [("newsletter", 40), ("website", None)]
    page = await told.page()
    assert "In een nieuwsbrief, aan ongeveer 40 start-ups" in page.body
    assert "Op onze website<br>" in page.body
    assert "Gaf je ze ook nog anders door?" in page.body


async def test_telling_again_never_piles_up_and_a_correction_keeps_when_it_was_told_first(
    told: Told, pool: Pool
) -> None:
    await told.tell({"way": "mail", "startups": 5})
    first = await pool.fetchrow("SELECT * FROM passings")
    for _ in range(3):
        assert (await told.tell({"way": "mail", "startups": 5})).body["corrected_at"] is None
    assert await pool.fetchrow("SELECT * FROM passings") == first
    corrected = (await told.tell({"way": "mail", "startups": 6})).body
    assert first is not None
    assert corrected["corrected_at"] > corrected["at"] == first["at"].isoformat()
    assert await count(pool) == 1


async def test_nobody_suited_is_an_answer_too_and_can_be_taken_back(told: Told) -> None:
    assert 'name="startups" value="0"' in (await told.page()).body
    page = await told.post({"way": "other", "startups": "0"})
    assert "Deze keer voor niemand geschikt." in page.body
    assert "Hoe gaf je ze door?" in page.body
    assert 'name="startups" value="0"' not in page.body
    body = (await told.stage.call("GET", f"/v1/events/{told.event_id}")).body
    nobody = {"subscribers": 0, "startups": 0, "ways": {}, "nobody_suited": 1}
    assert body["passed_on"] == nobody
    await told.post({"way": "other", "startups": ""})
    body = (await told.stage.call("GET", f"/v1/events/{told.event_id}")).body
    assert body["passed_on"] == {"subscribers": 1, "startups": 0, "ways": {"other": 1}, "nobody_suited": 0}


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({}, ["way"]),
        ({"way": "pigeon", "startups": "3"}, ["way"]),
        ({"way": "mail", "startups": "veertig"}, ["startups"]),
        ({"way": "mail", "startups": "-1"}, ["startups"]),
        ({"way": "mail", "startups": "1e3"}, ["startups"]),
        ({"way": "mail", "startups": "1,5"}, ["startups"]),
        ({"way": "mail", "startups": "٤٠"}, ["startups"]),
        ({"way": "mail", "startups": "100001"}, ["startups"]),
        ({"way": "mail", "startups": "9" * 5000}, ["startups"]),
        ({"way": "\x00", "startups": "\x00"}, ["way", "startups"]),
        ({"way": "Newsletter", "startups": "' OR 1=1 --"}, ["way", "startups"]),
    ],
)
async def test_what_cannot_be_kept_is_said_per_field(
    told: Told, fields: dict[str, str], problems: list[str]
) -> None:
    page = await told.post(fields)
    assert page.status == 422
    assert "<title>Fout: " in page.body
    assert 'role="alert"' in page.body
    assert re.findall(r'<li><a href="#([a-z]+)">', page.body) == problems
    for name in problems:
        assert page.body.count(f'id="{name}-problem"') == 1
        assert re.search(rf'aria-describedby="[^"]*{name}-problem', page.body)
        assert f'id="{name}"' in page.body
    assert await told.listed() == []


async def test_what_was_written_is_kept_while_it_is_mended(told: Told) -> None:
    page = await told.post({"way": "chat", "startups": 'een "paar" <b>'})
    assert radios(page.body)["chat"]
    assert written(page.body) == "een &#34;paar&#34; &lt;b&gt;"
    assert "<b>" not in page.body


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"way=mail&startups=1" + b"x" * 10_000, {}),
        (b"way=mail&startups=1", {"Content_Type": "text/plain"}),
        (b"--x\r\nbroken", {"Content_Type": "multipart/form-data; boundary=x"}),
        (
            b'--x\r\nContent-Disposition: form-data; name="way"; filename="w"\r\n\r\nmail\r\n--x--\r\n',
            {"Content_Type": "multipart/form-data; boundary=x"},
        ),
        (b"\xff\xfe=%ff&way=%ff%fe", {}),
    ],
)
async def test_what_is_no_form_of_ours_keeps_nothing(
    told: Told, body: bytes, headers: dict[str, str]
) -> None:
    assert (await told.post(body, **headers)).status == 422
    assert await told.listed() == []


async def test_titles_and_names_are_texts_whatever_they_hold(stage: Stage) -> None:
    evil = "<script>alert(1)</script>\u202e\"'&{{ 7*7 }}%(n)s"
    (event_id,) = await stage.announce({"title": {"nl": evil}, "buyer": {"name": evil}})
    told = await somebody(stage, "corda", event_id)
    await stage.pool.execute("UPDATE subscribers SET name = $1", evil)
    for page in (await told.page(), await told.post({"way": "mail"}), await told.page("?lang=en")):
        assert page.status == 200
        assert "<script" not in page.body
        assert "\u202e" not in page.body
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.body
        assert "{{ 7*7 }}%(n)s" in page.body


async def test_the_page_speaks_the_subscriber_s_language_or_the_one_asked_for(told: Told) -> None:
    await told.stage.call("PATCH", "/v1/subscribers/corda", {"language": "en"})
    assert ENGLISH in (await told.page()).body
    dutch = await told.page("?lang=nl")
    assert DUTCH in dutch.body
    assert 'action="?lang=nl"' in dutch.body
    assert "Bedankt" in (await told.post({"way": "mail", "startups": "1"}, "?lang=nl")).body
    assert "to about 1 start-up." in (await told.post({"way": "mail", "startups": "1"}, "?lang=en")).body
    for unknown in ("?lang=xx", "?lang=", "?lang=%00", "?lang=../../etc", "?way=%00", "?way=<b>"):
        assert ENGLISH in (await told.page(unknown)).body
    assert "Smart sensors for the quay" in (await told.page()).body


async def test_forged_changed_and_foreign_links_all_look_the_same_and_keep_nothing(
    told: Told, pool: Pool
) -> None:
    subscriber_id = await pool.fetchval("SELECT id FROM subscribers")
    link = passing_links(told.stage.api.settings, Door.MAIL)
    token = told.path.removeprefix("/p/")
    other = [link(uuid4(), told.event_id), link(subscriber_id, uuid4()), link(told.event_id, subscriber_id)]
    forged = [
        *(url.removeprefix(told.stage.api.url) for url in other),
        f"/p/{token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
        f"/p/E{token[1:40]}{'A' * 20}",
        f"/p/{token}=",
        f"/p/{token}%0A",
        f"/p/{'A' * 60}",
        "/p/x",
        "/p/%00",
        "/p/%F0",
    ]
    seen = set()
    for path in forged:
        strange = Told(told.stage, "corda", told.event_id, path)
        for answer in (await strange.page(), await strange.post({"way": "mail"})):
            seen.add((answer.status, answer.body))
            assert "Set-Cookie" not in answer.headers
        program = await strange.tell({"way": "mail"})
        assert (program.status, program.headers["Content-Type"]) == (404, PROBLEM)
    ((status, page),) = seen
    assert status == 404
    assert "Deze link kennen we niet" in page
    assert await count(pool) == 0


async def test_a_subscriber_that_has_ended_tells_nothing_more(told: Told, pool: Pool) -> None:
    await told.stage.end_subscriber("corda")
    assert (await told.page()).status == 404
    assert (await told.post({"way": "mail"})).status == 404
    assert (await told.tell({"way": "mail"})).status == 404
    assert await count(pool) == 0


async def test_a_key_that_was_replaced_still_reads_its_links(stage: Stage, pool: Pool) -> None:
    (event_id,) = await stage.announce({})
    told = await somebody(stage, "corda", event_id)
    async with staged(pool, secret_key="n" * 32 + "," + "k" * 32) as later:
        assert (await later.api.get(told.path, key=None)).status == 200
    async with staged(pool, secret_key="n" * 32) as later:
        assert (await later.api.get(told.path, key=None)).status == 404


async def test_it_may_be_told_after_the_deadline_and_of_what_was_withdrawn(stage: Stage) -> None:
    (event_id,) = await stage.announce({"id": "kade", "deadline": "2020-01-01T00:00:00Z"})
    withdrawal = await stage.notice("withdrawn", "kade")
    told = await somebody(stage, "corda", event_id)
    assert (await told.post({"way": "mail", "startups": "3"})).status == 200
    hangar = await somebody(stage, "hangar", withdrawal)
    assert "Slimme sensoren voor de kade" in (await hangar.page()).body
    assert (await hangar.tell({"way": "mail", "startups": 4})).status == 200
    body = (await stage.call("GET", f"/v1/events/{event_id}")).body
    assert (body["passed_on"]["subscribers"], body["passed_on"]["startups"]) == (2, 7)


async def test_a_program_tells_it_in_json(told: Told) -> None:
    answer = await told.tell({"way": "newsletter", "startups": 40})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    body = answer.body
    assert (body["opportunity"], body["event"]) == ("kade", str(told.event_id))
    assert (body["way"], body["startups"], body["corrected_at"]) == ("newsletter", 40, None)
    assert await told.listed() == [("newsletter", 40)]


@pytest.mark.parametrize(
    ("body", "status", "pointers"),
    [
        ({"way": "pigeon", "startups": -1}, 422, ["/way", "/startups"]),
        ({"way": "mail", "subscriber": "hangar"}, 422, ["/subscriber"]),
        ([], 422, [""]),
        (b"{", 422, [""]),
        (b'{"way": "\\u0000"}', 422, [""]),
        (b" " * 9_000, 413, None),
    ],
)
async def test_a_program_hears_what_is_wrong(
    told: Told, body: Any, status: int, pointers: list[str] | None
) -> None:
    answer = await told.tell(body)
    assert (answer.status, answer.headers["Content-Type"]) == (status, PROBLEM)
    assert pointers is None or answer.pointers == pointers
    assert await told.listed() == []


async def test_looking_at_a_link_in_whatever_way_tells_nothing(told: Told, pool: Pool) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
        answer = await told.stage.api.ask(method, told.path + "?way=mail&startups=3", key=None)
        assert answer.status == (200 if method in ("GET", "HEAD") else 405)
    assert await count(pool) == 0


async def test_what_was_told_is_listed_for_those_who_may_read_it(stage: Stage, pool: Pool) -> None:
    first, other = await stage.announce({"id": "kade"}, {"id": "brug"})
    (second,) = await stage.announce({"id": "kade", "version": 2}, kind="updated")
    corda = await somebody(stage, "corda", first)
    hangar = await somebody(stage, "hangar", second, Door.WEBHOOK)
    elsewhere = await somebody(stage, "start-it", other, Door.FEED)
    for who, way in ((corda, "mail"), (corda, "chat"), (hangar, "mail"), (elsewhere, "social")):
        assert (await who.tell({"way": way, "startups": 2})).status == 200
    for event in (first, second):
        rows = (await stage.call("GET", f"/v1/passings?event={event}")).body["items"]
        assert [(row["subscriber"], row["way"], row["door"]) for row in rows] == [
            ("hangar", "mail", "webhook"),
            ("corda", "chat", "mail"),
            ("corda", "mail", "mail"),
        ]
        assert {row["opportunity"] for row in rows} == {"kade"}
    seen, cursor = [], ""
    while cursor is not None:
        page = (await stage.call("GET", f"/v1/passings?limit=2{cursor and '&cursor='}{cursor}")).body
        seen += [row["id"] for row in page["items"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == 4
    assert (await stage.api.get("/v1/passings", key=None)).status == 401
    assert (await stage.api.get("/v1/passings", key=await add_key(pool, "publish"))).status == 403
    assert (await stage.api.get("/v1/passings", key=await add_key(pool, "read"))).status == 200
    assert (await stage.call("GET", "/v1/passings?event=x")).status == 422


@pytest.mark.parametrize(
    "values",
    [
        "'pigeon', 1, 'mail'",
        "'mail', -1, 'mail'",
        "'mail', 100001, 'mail'",
        "'mail', 1, 'window'",
    ],
)
async def test_the_schema_refuses_what_cannot_be_told(told: Told, pool: Pool, values: str) -> None:
    with pytest.raises(Exception, match="violates check constraint"):
        await pool.execute(
            "INSERT INTO passings (subscriber_id, subject, event_id, way, startups, door) "
            f"SELECT r.id, e.subject, e.id, {values} FROM subscribers r, events e"
        )
