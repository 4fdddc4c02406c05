"""What an incubator does itself: read what was sent, pause, invite, set, copy, leave; and by a link alone."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.runtime.database import Pool
from services.storage import erasing, people
from tests.integration.portal_visits import House, Town, town
from tests.rig.samples import opportunity


@pytest.fixture
async def here(pool: Pool) -> AsyncIterator[Town]:
    async with town(pool) as opened:
        yield opened


async def row(here: Town, table: str, key: Any) -> Any:
    return await here.pool.fetchrow(f"SELECT * FROM {table} WHERE id = $1", key)


async def owed(here: Town, house: House) -> list[str]:
    found = await here.pool.fetch(
        "SELECT state::text FROM deliveries WHERE subscription_id = $1 ORDER BY id", house.email
    )
    return [one["state"] for one in found]


async def test_the_overview_says_what_was_told_why_by_which_way_and_how_it_stands(here: Town) -> None:
    house = await here.house()
    await here.books.plan(data=opportunity(title={"nl": "Sensoren"}, buyer={"name": "Stad Gent"}))
    await here.pool.execute(
        "UPDATE deliveries SET state = 'sent', attempts = 1, settled_at = '2027-01-12T07:30Z' "
        "WHERE subscription_id = $1", house.email
    )  # fmt: skip
    page = await (await here.signed_in(house)).get("/portal")
    for words in (
        "Sensoren",
        "Stad Gent",
        "Verzonden",
        "12 jan 2027 8.30",
        "In wachtrij",
        "Je ontvangt dit omdat",
    ):
        assert words in page.words
    assert house.contact in page.words
    assert 'href="https://marketplace.example/opdrachten/1"' in page.text
    assert page.text.count('<h2 class="title">') == 1


async def test_a_title_in_another_language_says_which(here: Town) -> None:
    house = await here.house()
    await here.books.plan(data=opportunity(title={"fr": "Des capteurs"}))
    page = await (await here.signed_in(house)).get("/portal")
    assert '<span lang="fr">Des capteurs</span>' in page.text


async def test_moments_are_told_by_the_clock_of_the_house(here: Town) -> None:
    house = await here.house(timezone="America/New_York")
    await here.books.plan()
    await here.pool.execute(
        "UPDATE deliveries SET state = 'sent', attempts = 1, settled_at = '2027-01-12T07:30Z'"
    )
    assert "12 jan 2027 2.30" in (await (await here.signed_in(house)).get("/portal")).words


async def test_older_ones_are_a_page_further(here: Town) -> None:
    house = await here.house()
    for number in range(25):
        await here.books.plan(data=opportunity(title=f"Opdracht {number}"))
    visitor = await here.signed_in(house)
    first = await visitor.get("/portal")
    assert "Opdracht 24" in first.words
    assert "Opdracht 0" not in first.words
    older = first.text.partition("/portal?before=")[2].partition('"')[0]
    assert "Opdracht 0" in (await visitor.get(f"/portal?before={older}")).words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("status = 'disabled', status_reason = 'bounced'", "komen terug"),
        ("status = 'disabled', status_reason = 'complained'", "als ongewenst"),
        ("status = 'pending'", "moet nog bevestigd worden"),
        ("status = 'ended', ended_at = now()", "Je hoort op dit moment niets"),
    ],
)
async def test_a_banner_says_what_needs_the_reader(here: Town, change: str, words: str) -> None:
    house = await here.house()
    await here.pool.execute(f"UPDATE subscriptions SET {change} WHERE id = $1", house.email)
    await here.pool.execute("UPDATE subscriptions SET status = 'paused' WHERE id = $1", house.webhook)
    assert words in (await (await here.signed_in(house)).get("/portal")).words


async def test_pausing_and_going_on(here: Town) -> None:
    house = await here.house()
    await here.books.plan()
    visitor = await here.signed_in(house)
    base = f"/portal/subscriptions/{house.email}"
    await visitor.get(base)
    assert (await visitor.post(f"{base}/pause")).to == f"{base}?done=paused"
    assert await owed(here, house) == ["suppressed"]
    assert "Gepauzeerd" in (await visitor.get(f"{base}?done=paused")).words
    await visitor.post(f"{base}/resume")
    assert (await row(here, "subscriptions", house.email))["status"] == "active"


async def test_a_mailbox_that_came_back_is_switched_on_again(here: Town) -> None:
    house = await here.house()
    await here.pool.execute(
        "UPDATE subscriptions SET status = 'disabled', status_reason = 'bounced' WHERE id = $1", house.email
    )
    visitor = await here.signed_in(house)
    await visitor.get("/portal")
    await visitor.post(f"/portal/subscriptions/{house.email}/resume")
    assert (await row(here, "subscriptions", house.email))["status"] == "active"


async def test_when_and_in_which_language(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    times = {
        "cadence": "weekly",
        "quiet": "1",
        "quiet_from": "20:00",
        "quiet_until": "07:30",
        "language": "en",
    }
    page = await visitor.fill(f"/portal/subscriptions/{house.email}", times)
    assert page.to.endswith("?done=saved")
    kept = await row(here, "subscriptions", house.email)
    assert (kept["cadence"], str(kept["quiet_from"]), str(kept["quiet_until"])) == (
        "weekly", "20:00:00", "07:30:00",
    )  # fmt: skip
    assert (kept["language"], kept["reminders"]) == ("en", False)
    await visitor.post(f"/portal/subscriptions/{house.email}", {"reminders": "1", "cadence": "hourly"})
    kept = await row(here, "subscriptions", house.email)
    assert (kept["cadence"], kept["quiet_from"], kept["reminders"]) == ("immediate", None, True)


async def test_a_webhook_is_told_at_once_whatever_is_asked(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    await visitor.fill(f"/portal/subscriptions/{house.webhook}", {"cadence": "daily"})
    assert (await row(here, "subscriptions", house.webhook))["cadence"] == "immediate"


@pytest.mark.parametrize("wrong", ["", "25:00", "8:00", "20:00:00", "٢٠:٠٠", "20:60", "x" * 9000])
async def test_a_time_that_is_none_is_said_at_its_field(here: Town, wrong: str) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    given = {"cadence": "daily", "quiet": "1", "quiet_from": wrong, "quiet_until": "07:00"}
    page = await visitor.fill(f"/portal/subscriptions/{house.email}", given)
    assert (page.status, page.text.count("<title>Fout: ")) == (422, 1)
    assert 'id="quiet_from-wrong"' in page.text
    assert '<a href="#quiet_from">' in page.text
    assert (await row(here, "subscriptions", house.email))["cadence"] == "immediate"


async def test_quiet_hours_without_a_length_are_refused(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    given = {"quiet": "1", "quiet_from": "07:00", "quiet_until": "07:00"}
    assert (await visitor.fill(f"/portal/subscriptions/{house.email}", given)).status == 422


async def test_stopping_asks_first_and_ends_what_is_owed(here: Town) -> None:
    house = await here.house()
    await here.books.plan()
    visitor = await here.signed_in(house)
    path = f"/portal/subscriptions/{house.email}/stop"
    assert "stopzetten?" in (await visitor.get(path)).words
    assert await owed(here, house) == ["pending"]
    assert (await visitor.post(path)).to == "/portal/subscriptions?done=stopped"
    assert await owed(here, house) == ["cancelled"]
    assert (await visitor.get(path)).status == 404
    assert (await visitor.get(f"/portal/subscriptions/{house.email}")).status == 200


async def test_a_colleague_is_added_and_removed(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    page = await visitor.fill("/portal/people", {"name": " Els ", "email": "Els@Huis.Example"})
    assert page.to == "/portal/people?done=person"
    (person,) = await here.pool.fetch("SELECT * FROM people")
    assert (person["name"], person["email"]) == ("Els", "els@huis.example")
    told = (await here.letters())[-1]
    assert (told["kind"], told["recipient"]) == ("invited", "Els@huis.example")
    assert told["shown"] == {"subscriber": "Startershuis", "added_by": house.contact}
    assert "krijgt een mail" in (await visitor.get(page.to)).words
    again = await visitor.fill("/portal/people", {"name": "Els", "email": "els@huis.example"})
    assert (again.status, 'id="email-wrong"' in again.text) == (422, True)
    els = await here.signed_in(house, "els@huis.example")
    path = f"/portal/people/{person['id']}/remove"
    assert "Dit ben je zelf" in (await els.get(path)).words
    assert (await els.post(path)).to == "/portal/people?done=person-removed"
    again = await visitor.fill("/portal/people", {"name": "Els", "email": "els@huis.example"})
    assert again.to == "/portal/people?done=person-untold"
    assert "stuurden deze keer geen mail" in (await visitor.get(again.to)).words
    (person,) = await here.pool.fetch("SELECT * FROM people")
    await visitor.fill(f"/portal/people/{person['id']}/remove")
    assert (await els.get("/portal")).status == 303


@pytest.mark.parametrize(
    ("name", "email"),
    [("", "a@b.example"), ("x" * 201, "a@b.example"), ("a\nb", "a@b.example"), ("Els", "nope"), ("", "")],
)
async def test_a_colleague_without_name_or_address_is_not_added(here: Town, name: str, email: str) -> None:
    visitor = await here.signed_in(await here.house())
    page = await visitor.fill("/portal/people", {"name": name, "email": email})
    assert page.status == 422
    assert await here.count("people") == 0


async def test_the_last_who_may_sign_in_stays(here: Town) -> None:
    house = await here.house()
    async with here.pool.acquire() as connection:
        els = await people.add(connection, house.id, "Els", "els@huis.example")
    visitor = await here.signed_in(house, "els@huis.example")
    await here.pool.execute("UPDATE subscribers SET contact = NULL")
    page = await visitor.fill(f"/portal/people/{els}/remove")
    assert page.to == "/portal/people?done=person-last"
    assert await here.count("people") == 1


SETTINGS = {
    "name": "Huis aan de Kaai",
    "contact": "nieuw@huis.example",
    "language": "en",
    "timezone": "America/New_York",
    "digest_hour": "7",
    "digest_weekday": "5",
    "reminder_days": "5",
}


async def test_settings_are_kept(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    assert (await visitor.fill("/portal/settings", SETTINGS)).to == "/portal/settings?done=saved"
    kept = await row(here, "subscribers", house.id)
    given = {**SETTINGS, "digest_hour": 7, "digest_weekday": 5, "reminder_days": [5]}
    assert {name: kept[name] for name in given} == given


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("timezone", "Mars/Olympus"),
        ("timezone", ""),
        ("timezone", "../../etc/passwd"),
        ("timezone", "europe/brussels"),
        ("timezone", "x" * 5000),
        ("name", ""),
        ("name", "x" * 201),
        ("contact", "nope"),
        ("language", "xx"),
        ("language", "nl-BE"),
        ("digest_hour", "24"),
        ("digest_hour", "-1"),
        ("digest_hour", "٣"),
        ("digest_hour", "9" * 5000),
        ("digest_weekday", "0"),
        ("reminder_days", "3"),
    ],
)
async def test_a_setting_that_cannot_be_is_said_at_its_field(here: Town, field: str, wrong: str) -> None:
    house = await here.house()
    before = await row(here, "subscribers", house.id)
    visitor = await here.signed_in(house)
    page = await visitor.fill("/portal/settings", {**SETTINGS, field: wrong})
    assert (page.status, f'id="{field}-wrong"' in page.text) == (422, True)
    assert await row(here, "subscribers", house.id) == before


async def test_a_contact_goes_only_where_somebody_can_still_sign_in(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    assert (await visitor.fill("/portal/settings", {**SETTINGS, "contact": ""})).status == 422
    async with here.pool.acquire() as connection:
        await people.add(connection, house.id, "Els", "els@huis.example")
    assert (await visitor.post("/portal/settings", {**SETTINGS, "contact": ""})).status == 303


async def test_feed_addresses_are_shown_and_replaced(here: Town) -> None:
    visitor = await here.signed_in(await here.house())
    assert "nog geen adressen" in (await visitor.get("/portal/feeds")).words
    await visitor.post("/portal/feeds/new-address")
    first = (await visitor.get("/portal/feeds")).text
    atom = first.partition('value="http://omroeper.example')[2].partition('"')[0]
    assert atom.endswith("/opportunities.atom")
    assert (await visitor.get(atom)).status == 200
    await visitor.fill("/portal/feeds/new-address")
    assert (await visitor.get(atom)).status == 404


async def test_leaving_asks_twice_and_ends_everything(here: Town) -> None:
    house = await here.house()
    await here.books.plan()
    visitor = await here.signed_in(house)
    assert (await visitor.fill("/portal/leave")).status == 422
    assert (await row(here, "subscribers", house.id))["ended_at"] is None
    page = await visitor.post("/portal/leave", {"sure": "1"})
    assert page.to == "/portal/left"
    assert "bedankt" in (await visitor.get("/portal/left")).words
    assert (await visitor.get("/portal")).to == "/portal/sign-in"
    assert await owed(here, house) == ["cancelled"]
    assert (await here.visitor().fill("/portal/sign-in", {"email": house.contact})).status == 303
    assert [letter["kind"] for letter in await here.letters()] == ["sign_in"]


async def test_preferences_by_the_link_of_a_message(here: Town) -> None:
    house = await here.house()
    await here.books.plan()
    visitor, path = here.visitor(), f"/u/{house.link}/preferences"
    page = await visitor.get(path)
    assert page.status == 200
    assert page.cookies == {}
    given = {
        "action": "save",
        "cadence": "daily",
        "quiet": "1",
        "quiet_from": "20:00",
        "quiet_until": "07:00",
    }
    assert (await visitor.post(path, given)).to == f"{path}?done=saved"
    kept = await row(here, "subscriptions", house.email)
    assert (kept["cadence"], str(kept["quiet_from"]), kept["reminders"]) == ("daily", "20:00:00", False)
    assert (await visitor.post(path, {"action": "pause"})).to == f"{path}?done=paused"
    assert await owed(here, house) == ["suppressed"]
    assert "Verdergaan" in (await visitor.get(path)).words
    await visitor.post(path, {"action": "resume"})
    assert (await row(here, "subscriptions", house.email))["status"] == "active"
    assert (await row(here, "subscriptions", house.webhook))["status"] == "active"


async def test_the_link_shows_and_changes_nothing_else_of_its_house(here: Town) -> None:
    house = await here.house()
    async with here.pool.acquire() as connection:
        await people.add(connection, house.id, "Els Peeters", "els@huis.example")
    page = await here.visitor().get(f"/u/{house.link}/preferences")
    for secret in (
        "hooks.",
        "Els Peeters",
        "els@huis.example",
        str(house.id),
        str(house.webhook),
        house.slug + '"',
    ):
        assert secret not in page.text
    assert "/portal/settings" not in page.text


async def test_what_the_link_of_a_switched_off_or_stopped_one_may_not(here: Town) -> None:
    house = await here.house()
    visitor, path = here.visitor(), f"/u/{house.link}/preferences"
    await visitor.get(path)
    await here.pool.execute(
        "UPDATE subscriptions SET status = 'disabled', status_reason = 'complained' WHERE id = $1",
        house.email,
    )
    await visitor.post(path, {"action": "resume"})
    assert (await row(here, "subscriptions", house.email))["status"] == "disabled"
    await here.pool.execute(
        "UPDATE subscriptions SET status = 'ended', ended_at = now() WHERE id = $1", house.email
    )
    assert "stopgezet" in (await visitor.get(path)).words
    await visitor.post(path, {"action": "save", "cadence": "weekly"})
    assert (await row(here, "subscriptions", house.email))["cadence"] == "immediate"


@pytest.mark.parametrize("token", ["x", "a" * 22, "%00", "é"])
async def test_a_link_that_we_never_made_has_no_preferences(here: Town, token: str) -> None:
    house = await here.house()
    visitor = here.visitor()
    assert (await visitor.get(f"/u/{token}/preferences")).status == 404
    await visitor.get(f"/u/{house.link}/preferences")
    assert (await visitor.post(f"/u/{token}/preferences", {"action": "pause"})).status == 403


async def test_the_form_of_one_link_is_of_no_use_with_another(here: Town) -> None:
    first, second = await here.house(), await here.house()
    visitor = here.visitor()
    await visitor.get(f"/u/{first.link}/preferences")
    assert (await visitor.post(f"/u/{second.link}/preferences", {"action": "pause"})).status == 403
    assert (await row(here, "subscriptions", second.email))["status"] == "active"


async def test_one_click_still_stops_and_its_page_leads_to_the_preferences(here: Town) -> None:
    house = await here.house()
    visitor = here.visitor()
    page = await visitor.get(f"/u/{house.link}")
    assert f'href="/u/{house.link}/preferences"' in page.text
    assert "/static/style.css?v=" in page.text
    stopped = await visitor.post(f"/u/{house.link}", {"List-Unsubscribe": "One-Click"}, token="")
    assert (stopped.status, (await row(here, "subscriptions", house.email))["status"]) == (200, "ended")
    assert 'href="/portal/sign-in"' in stopped.text


async def test_a_way_back_is_offered_to_those_only_who_have_one(here: Town) -> None:
    house = await here.house()
    visitor = here.visitor()
    await here.pool.execute("UPDATE subscribers SET contact = NULL WHERE id = $1", house.id)
    stopped = await visitor.post(f"/u/{house.link}", {"List-Unsubscribe": "One-Click"}, token="")
    assert "/portal/sign-in" not in stopped.text
    async with here.pool.acquire() as connection:
        await people.add(connection, house.id, "Els Peeters", "els@huis.example")
    assert "/portal/sign-in" in (await visitor.get(f"/u/{house.link}")).text
    await here.pool.execute("UPDATE subscribers SET ended_at = now() WHERE id = $1", house.id)
    assert "/portal/sign-in" not in (await visitor.get(f"/u/{house.link}")).text


async def test_who_is_erased_is_signed_out_and_leaves_no_link(here: Town) -> None:
    house, other = await here.house(), await here.house()
    visitor, stays = await here.signed_in(house), await here.signed_in(other)
    await here.visitor().fill("/portal/sign-in", {"email": house.contact})
    async with here.pool.acquire() as connection, connection.transaction():
        assert await erasing.erase(connection, here.vault, house.slug)
    assert (await visitor.get("/portal")).to == "/portal/sign-in"
    assert (await stays.get("/portal")).status == 200
    assert (await here.count("sessions"), await here.count("sign_in_links")) == (1, 0)
