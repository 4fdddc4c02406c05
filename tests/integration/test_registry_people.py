"""People, cadence, quiet hours and the times of a subscriber, through the API."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from services.runtime.database import Pool
from services.runtime.vault import Vault
from services.storage import health, left_alone
from tests.integration.asking import add_subscriber, add_subscription, errands, mailing, send_json, text_of
from tests.integration.owing import Books, eventually, settings_for
from tests.integration.web import Answer, Api, serving

PEOPLE = "/v1/subscribers/start-it/people"
AN = {"name": "An Peeters", "email": "An@Start-it.example"}


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    async with serving(pool, whole=True) as served:
        await add_subscriber(served)
        yield served


async def in_full(api: Api, slug: str = "start-it") -> dict[str, Any]:
    return dict((await api.get(f"/v1/subscribers/{slug}")).body)


async def test_people_are_added_shown_and_removed(api: Api) -> None:
    added = await send_json(api, "POST", PEOPLE, AN)
    assert added.status == 201
    assert (added.body["name"], added.body["email"]) == ("An Peeters", "an@start-it.example")
    assert added.body.pop("invited") is True
    assert (await in_full(api))["people"] == [added.body]
    assert (await api.get(PEOPLE)).body == {"items": [added.body], "next": None}
    for spelled in ("an@start-it.example", "AN@start-it.example"):
        assert (await send_json(api, "POST", PEOPLE, {**AN, "email": spelled})).status == 409
    assert (await api.ask("DELETE", f"{PEOPLE}/{added.body['id']}")).status == 204
    assert (await api.ask("DELETE", f"{PEOPLE}/{added.body['id']}")).status == 404
    assert (await in_full(api))["people"] == []


async def test_a_person_has_a_language_of_their_own_or_none(api: Api) -> None:
    own = (await send_json(api, "POST", PEOPLE, {**AN, "language": "en"})).body
    other = (await send_json(api, "POST", PEOPLE, {"name": "Bo", "email": "bo@start-it.example"})).body
    assert (own["language"], other["language"]) == ("en", None)
    listed = (await api.get(PEOPLE)).body["items"]
    shown = [(person["id"], person["language"]) for person in listed]
    assert shown == [(own["id"], "en"), (other["id"], None)]
    exported = (await api.get("/v1/subscribers/start-it/export")).body
    assert [person["language"] for person in exported["people"]] == ["en", None]


async def test_nobody_removes_the_people_of_another_subscriber(api: Api) -> None:
    await add_subscriber(api, "imec")
    added = await send_json(api, "POST", PEOPLE, AN)
    assert (await api.ask("DELETE", f"/v1/subscribers/imec/people/{added.body['id']}")).status == 404
    assert len((await in_full(api))["people"]) == 1


async def test_what_is_no_person_or_no_subscriber_is_refused(api: Api) -> None:
    for bad, where in (
        ({"name": "", "email": "a@b.example"}, "/name"),
        ({"name": "a\r\nBcc: x@y.example", "email": "a@b.example"}, "/name"),
        ({"name": "a" * 201, "email": "a@b.example"}, "/name"),
        ({"name": "An", "email": "an"}, "/email"),
        ({"name": "An", "email": "a@b.example", "role": "boss"}, "/role"),
        ({"name": "An", "email": "a@b.example", "language": "nederlands"}, "/language"),
    ):
        assert (await send_json(api, "POST", PEOPLE, bad)).pointers == [where]
    for slug in ("nobody", "Geen-slug", "%00"):
        path = f"/v1/subscribers/{slug}/people"
        assert (await send_json(api, "POST", path, AN)).status == 404
        assert (await api.get(path)).status == 404
        assert (await api.ask("DELETE", f"{path}/{uuid4()}")).status == 404


async def test_a_subscriber_has_fifty_people_at_most(api: Api, pool: Pool) -> None:
    answers: list[Answer] = []
    for n in range(52):
        answers.append(await send_json(api, "POST", PEOPLE, {"name": f"P{n}", "email": f"p{n}@x.example"}))
    assert [answer.status for answer in answers] == [201] * 50 + [409] * 2


async def test_the_same_person_added_at_once_is_one(api: Api, pool: Pool) -> None:
    answers = await asyncio.gather(*(send_json(api, "POST", PEOPLE, AN) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7


async def test_cadence_and_quiet_hours_are_asked_for_answered_and_changed(api: Api) -> None:
    night = {"from": "20:00", "until": "07:00"}
    made = await add_subscription(
        api, channel="email", target="an@start-it.example", cadence="weekly", quiet_hours=night
    )
    assert (made.status, made.body["cadence"], made.body["quiet_hours"]) == (201, "weekly", night)
    assert "quiet_from" not in made.body
    path = f"/v1/subscriptions/{made.body['id']}"
    assert (await api.get(path)).body["quiet_hours"] == night
    assert (await in_full(api))["subscriptions"][0]["quiet_hours"] == night
    midnight = {"from": "00:00", "until": "06:30"}
    changed = await send_json(api, "PATCH", path, {"cadence": "immediate", "quiet_hours": midnight})
    assert (changed.body["cadence"], changed.body["quiet_hours"]) == ("immediate", midnight)
    assert (await send_json(api, "PATCH", path, {"language": "en"})).body["quiet_hours"] == midnight
    assert (await send_json(api, "PATCH", path, {"quiet_hours": None})).body["quiet_hours"] is None


async def test_reminders_are_asked_for_answered_exported_and_changed(api: Api) -> None:
    mail = {"channel": "email", "target": "an@start-it.example"}
    made = await add_subscription(api, **mail)
    assert made.body["reminders"] is True
    path = f"/v1/subscriptions/{made.body['id']}"
    assert (await send_json(api, "PATCH", path, {"reminders": False})).body["reminders"] is False
    assert (await send_json(api, "PATCH", path, {"language": "en"})).body["reminders"] is False
    for bad in ("no", 0, None):
        assert (await send_json(api, "PATCH", path, {"reminders": bad})).pointers == ["/reminders"]
    silent = await add_subscription(api, **{**mail, "target": "bo@start-it.example"}, reminders=False)
    assert silent.body["reminders"] is False
    exported = (await api.get("/v1/subscribers/start-it/export")).body
    assert [one["reminders"] for one in exported["subscriptions"]] == [False, False]


async def test_a_webhook_has_quiet_hours_but_no_digests(api: Api) -> None:
    hook = {"channel": "webhook", "target": "https://hooks.example/x"}
    assert (await add_subscription(api, **hook, cadence="daily")).pointers == ["/cadence"]
    made = await add_subscription(api, **hook, quiet_hours={"from": "20:00", "until": "07:00"})
    assert made.status == 201
    path = f"/v1/subscriptions/{made.body['id']}"
    assert (await send_json(api, "PATCH", path, {"cadence": "daily"})).pointers == ["/cadence"]
    assert (await send_json(api, "PATCH", path, {"quiet_hours": {"from": "x"}})).status == 422


async def test_the_times_of_a_subscriber_are_answered_and_changed(api: Api) -> None:
    times = {"timezone": "Europe/Lisbon", "digest_hour": 0, "digest_weekday": 7, "reminder_days": []}
    assert {name: (await in_full(api))[name] for name in times} == {
        "timezone": "Europe/Brussels",
        "digest_hour": 8,
        "digest_weekday": 1,
        "reminder_days": [14, 5, 1],
    }
    changed = await send_json(api, "PATCH", "/v1/subscribers/start-it", times)
    assert {name: changed.body[name] for name in times} == times
    bad = {"timezone": "Mars", "digest_hour": 24, "digest_weekday": 0, "reminder_days": [2]}
    assert (await send_json(api, "PATCH", "/v1/subscribers/start-it", bad)).pointers == [f"/{n}" for n in bad]
    assert {name: (await in_full(api))[name] for name in times} == times


async def test_the_documentation_describes_all_of_it(api: Api) -> None:
    document = (await api.get("/openapi.json")).body
    paths, schemas = document["paths"], document["components"]["schemas"]
    body = paths["/v1/subscribers/{slug}/subscriptions"]["post"]["requestBody"]["content"]["application/json"]
    properties = body["schema"]["properties"]
    assert properties["cadence"]["enum"] == ["immediate", "daily", "weekly"]
    assert properties["reminders"]["type"] == "boolean"
    assert set(properties["quiet_hours"]["anyOf"][0]["properties"]) == {"from", "until"}
    assert set(schemas["QuietHours"]["properties"]) == {"from", "until"}
    for path, method in (
        ("/v1/subscriptions/{subscription_id}/test", "post"),
        ("/v1/subscriptions/{subscription_id}/verify", "post"),
    ):
        assert {"200", "202", "404", "409", "429"} <= set(paths[path][method]["responses"])


@pytest.mark.parametrize("other", [True, False])
async def test_contact_and_people_are_told_but_not_the_dead_address(
    api: Api, pool: Pool, database_url: str, other: bool
) -> None:
    await send_json(api, "PATCH", "/v1/subscribers/start-it", {"contact": "Info@Start-it.example"})
    for name, email in (
        ("An", "an@start-it.example"),
        ("Bo", "bo@else.example"),
        ("In", "info@start-it.example"),
    ):
        await send_json(api, "POST", PEOPLE, {"name": name, "email": email})
    await pool.execute("DELETE FROM letters")
    made = await add_subscription(api, channel="email", target="an@start-it.example")
    if other:
        await add_subscription(api, channel="webhook", target="https://hooks.example/x")
    async with pool.acquire() as connection, connection.transaction():
        assert await health.disable(connection, made.body["id"], "complained")
    async with mailing(pool, database_url) as relay:
        mails = await relay.wait_for(2)
        told = await eventually(
            lambda: pool.fetchval("SELECT outcome FROM notices WHERE due_at IS NULL"),
            bool,
            what="it to be told",
        )
    assert told == "told by letter: 2"
    assert sorted(mail.recipients[0] for mail in mails) == ["Info@start-it.example", "bo@else.example"]
    for mail in mails:
        assert ("op geen enkele andere manier" in " ".join(text_of(mail).split())) is not other


async def test_people_without_a_contact_are_told(pool: Pool, database_url: str, api: Api) -> None:
    await send_json(api, "POST", PEOPLE, AN)
    made = await add_subscription(api, channel="webhook", target="https://hooks.example/x")
    async with pool.acquire() as connection, connection.transaction():
        await health.disable(connection, made.body["id"], "gone")
    async with mailing(pool, database_url) as relay:
        mails = await relay.wait_for(2)
    assert [mail.recipients for mail in mails] == [("an@start-it.example",)] * 2
    assert sorted("uitgeschakeld" in text_of(mail) for mail in mails) == [False, True]


async def test_nobody_to_tell_is_noted(pool: Pool, database_url: str) -> None:
    books = Books(pool, settings_for(database_url))
    somebody = await books.subscribe("https://hooks.example/x")
    await pool.execute("UPDATE subscribers SET contact = NULL")
    async with pool.acquire() as connection, connection.transaction():
        await health.disable(connection, somebody.id, "gone")
    async with errands(pool, books.settings):
        outcome = await eventually(
            lambda: pool.fetchval("SELECT outcome FROM notices WHERE due_at IS NULL"), bool, what="it"
        )
    assert outcome == "no contact is known"


async def test_who_is_added_is_told_by_one_letter(pool: Pool, database_url: str, api: Api) -> None:
    assert (await send_json(api, "POST", PEOPLE, AN)).body["invited"] is True
    async with mailing(pool, database_url) as relay:
        (mail,) = await relay.wait_for(1)
    assert mail.recipients == ("an@start-it.example",)
    assert mail.message["Subject"] == "Je kunt je nu aanmelden voor Start it"
    assert "/portal/sign-in" in text_of(mail)
    assert "De beheerder heeft je toegevoegd" in " ".join(text_of(mail).split())


async def test_nobody_is_bothered_by_being_added_again(api: Api, pool: Pool) -> None:
    await add_subscriber(api, "imec")
    added = await send_json(api, "POST", PEOPLE, AN)
    await api.ask("DELETE", f"{PEOPLE}/{added.body['id']}")
    tagged = {**AN, "email": "AN+1@start-it.example"}
    for path, who in ((PEOPLE, AN), (PEOPLE, tagged), ("/v1/subscribers/imec/people", AN)):
        assert (await send_json(api, "POST", path, who)).body["invited"] is False
    assert await pool.fetchval("SELECT count(*) FROM letters") == 1
    await pool.execute("UPDATE invitations SET created_at = now() - interval '31 days'")
    again = await send_json(api, "POST", PEOPLE, {**AN, "email": "AN+2@start-it.example"})
    assert again.body["invited"] is True


async def test_a_subscriber_has_ten_told_a_day_also_at_once(api: Api) -> None:
    people = ({"name": f"P{n}", "email": f"p{n}@x.example"} for n in range(12))
    answers = await asyncio.gather(*(send_json(api, "POST", PEOPLE, person) for person in people))
    assert [answer.status for answer in answers] == [201] * 12
    assert sum(answer.body["invited"] for answer in answers) == 10


async def test_who_is_to_be_left_alone_is_not_told(api: Api, pool: Pool) -> None:
    async with pool.acquire() as connection:
        await left_alone.add(connection, Vault(api.settings), AN["email"], "complained")
    assert (await send_json(api, "POST", PEOPLE, AN)).body["invited"] is False
