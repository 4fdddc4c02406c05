"""Filters by a form, and what they would have found: the same as the planner, and soon."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.domain.event import parse_cloudevent
from services.domain.matching import parse_filter
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import backtest, events, feeds, planning, subscriptions
from services.subscribers.portal.filters import Suggestions
from tests.integration.portal_visits import House, Town, town
from tests.rig.samples import cloudevent, filters, opportunities, opportunity

USUAL = [("kinds", "published"), ("kinds", "updated"), ("kinds", "withdrawn")]


@pytest.fixture
async def here(pool: Pool) -> AsyncIterator[Town]:
    async with town(pool) as opened:
        yield opened


async def kept(here: Town, house: House) -> dict[str, Any]:
    found: dict[str, Any] = await here.pool.fetchval(
        "SELECT filter FROM subscriptions WHERE id = $1", house.email
    )
    return found


FULL = [
    *USUAL,
    ("kinds", "awarded"),
    ("regions", "BE21"),
    ("regions", "BE10"),
    ("themes", "Zorg"),
    ("other_themes", "slimme stad, energie;\n water "),
    ("audience", "start-up"),
    ("procedures", "open"),
    ("cpv", "72, 48810000-9"),
    ("least", "50.000"),
    ("most", "139000,50"),
    ("currency", "EUR"),
    ("text", " Drone  kade "),
]


async def test_a_form_becomes_a_filter_and_a_filter_the_same_form(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    path = f"/portal/subscriptions/{house.email}/filter"
    page = await visitor.fill(path, FULL)
    assert page.to == f"/portal/subscriptions/{house.email}?done=filter"
    written = await kept(here, house)
    assert written == {
        "types": [f"opportunity.{kind}" for kind in ("published", "updated", "withdrawn", "awarded")],
        "regions": ["BE21", "BE10"],
        "themes": ["zorg", "slimme stad", "energie", "water"],
        "audience": ["start-up"],
        "procedures": ["open"],
        "cpv": ["72", "4881"],
        "value": {"min": 50000, "max": 139000.5},
        "text": "Drone  kade",
    }
    text = (await visitor.get(path)).text
    for shown in ('value="50.000"', 'value="139.000,5"', 'value="72, 4881"', 'value="water" checked'):
        assert shown in text
    # what the page shows, sent as it stands, is the same filter
    again = [
        *(("kinds", kind) for kind in ("published", "updated", "withdrawn", "awarded")),
        *(("regions", code) for code in ("BE21", "BE10")),
        *(("themes", theme) for theme in written["themes"]),
        ("audience", "start-up"), ("procedures", "open"), ("cpv", "72, 4881"), ("least", "50.000"),
        ("most", "139.000,5"), ("currency", "EUR"), ("text", "Drone  kade"),
    ]  # fmt: skip
    await visitor.post(path, again)
    assert await kept(here, house) == written


async def test_an_open_form_is_the_filter_of_everything(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    await visitor.fill(f"/portal/subscriptions/{house.email}/filter", USUAL)
    assert await kept(here, house) == {}


async def test_what_the_form_does_not_offer_stays_in_the_filter(here: Town) -> None:
    house = await here.house()
    async with here.pool.acquire() as connection:
        wanted = parse_filter(
            {"regions": ["NL41"], "audience": ["scholen"], "value": {"min": 5, "currency": "SEK"}}
        )
        await subscriptions.set_filter(connection, house.email, wanted)
    text = (await (await here.signed_in(house)).get(f"/portal/subscriptions/{house.email}/filter")).text
    for shown in ('value="NL41" checked', 'value="scholen" checked', 'name="currency" value="SEK"'):
        assert shown in text


@pytest.mark.parametrize(
    ("field", "wrong", "at"),
    [
        ("cpv", "IT-diensten", "cpv"),
        ("cpv", ",".join(["72"] + [f"{n}" for n in range(10, 99)] * 3), None),
        ("least", "veel", "least"),
        ("most", "1e999", "most"),
        ("most", "-5", "most"),
        ("least", "200000", "most"),
        ("text", "x" * 201, "text"),
        ("other_themes", "x" * 101, "other_themes"),
        ("regions", "<script>", "regions"),
        ("kinds", "nothing", "kinds"),
        ("currency", "euro's", "most"),
    ],
)
async def test_what_cannot_be_a_filter_is_said_at_its_field(
    here: Town, field: str, wrong: str, at: str | None
) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    given = [*USUAL, ("most", "100000"), ("currency", "EUR")]
    given = [pair for pair in given if pair[0] != field or field == "kinds"] + [(field, wrong)]
    page = await visitor.fill(f"/portal/subscriptions/{house.email}/filter", given)
    if at is None:
        assert page.status == 303
        return
    assert (page.status, f'href="#{at}"' in page.text) == (422, True)
    assert "<script>" not in page.text
    assert await kept(here, house) == {}


async def test_no_kind_of_message_at_all_is_no_filter(here: Town) -> None:
    house = await here.house()
    page = await (await here.signed_in(house)).fill(
        f"/portal/subscriptions/{house.email}/filter", {"cpv": "72"}
    )
    assert (page.status, "minstens één soort bericht" in page.words) == (422, True)


async def publish(here: Town, *changes: dict[str, Any]) -> None:
    for change in changes:
        await here.books.plan(data=opportunity(**change))


async def test_the_back_test_answers_beside_the_form_with_and_without_scripts(here: Town) -> None:
    house = await here.house()
    await publish(here, {"title": "Drones", "themes": ["bouw"]}, {"themes": ["zorg"]}, {"themes": ["zorg"]})
    await here.pool.execute(
        "UPDATE events SET accepted_at = now() - interval '80 days' WHERE m_themes = '{bouw}'"
    )
    visitor = await here.signed_in(house)
    path = f"/portal/subscriptions/{house.email}/filter"
    assert "3 opdrachten" in (await visitor.get(path)).words
    tried = await visitor.post(path, [*USUAL, ("themes", "bouw"), ("try", "1")])
    assert "1 opdracht in de 81 dagen sinds de eerste binnenkwam" in tried.words
    assert "Drones" in tried.words
    assert 'href="https://marketplace.example/opdrachten/1"' in tried.text
    assert await kept(here, house) == {}
    part = await visitor.post(f"{path}/try", [*USUAL, ("themes", "zorg")], hx_request="true")
    assert "2 opdrachten" in part.words
    assert "<html" not in part.text


async def test_the_back_test_speaks_of_ninety_days_and_of_a_rate(here: Town) -> None:
    house = await here.house()
    await publish(here, *({"title": f"Opdracht {n}"} for n in range(14)))
    await here.pool.execute(
        "UPDATE events SET accepted_at = now() - interval '89 days 23 hours' "
        "WHERE subject = (SELECT min(subject) FROM events)"
    )
    page = await (await here.signed_in(house)).get(f"/portal/subscriptions/{house.email}/filter")
    assert "14 opdrachten in de voorbije 90 dagen, ongeveer 1 per week." in page.words
    assert "En nog 6 andere." in page.words


async def test_a_changed_opportunity_counts_once_and_an_old_one_not(here: Town) -> None:
    house = await here.house()
    one = opportunity(title="Oude titel")
    await here.books.plan(data=one)
    await here.books.plan(
        type="opportunity.updated", data={**one, "version": 2, "title": {"nl": "Nieuwe titel"}}
    )
    await publish(here, {"title": "Lang geleden"})
    await here.pool.execute(
        "UPDATE events SET accepted_at = now() - interval '91 days' "
        "WHERE data #>> '{title,nl}' = 'Lang geleden'"
    )
    page = await (await here.signed_in(house)).get(f"/portal/subscriptions/{house.email}/filter")
    assert "1 opdracht " in page.words
    assert "Nieuwe titel" in page.words
    assert "Oude titel" not in page.words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([("kinds", "awarded")], "Bij deze filter kan niets passen"),
        ([*USUAL, ("cpv", "99")], "geen CPV-codes die zo beginnen: 99"),
        ([*USUAL, ("other_themes", "mobilteit")], "kwam nog nooit in een opdracht voor: mobilteit"),
        ([*USUAL, ("text", "olifant")], "Er paste niets bij"),
    ],
)
async def test_a_filter_that_can_match_nothing_is_warned_of(
    here: Town, given: list[tuple[str, str]], words: str
) -> None:
    house = await here.house()
    await publish(here, {})
    visitor = await here.signed_in(house)
    await visitor.get("/portal")
    page = await visitor.post(f"/portal/subscriptions/{house.email}/filter/try", given)
    assert words in page.words


async def test_where_nothing_was_published_it_says_so(here: Town) -> None:
    house = await here.house()
    page = await (await here.signed_in(house)).get(f"/portal/subscriptions/{house.email}/filter")
    assert "geen enkele opdracht gepubliceerd" in page.words


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(published=st.lists(opportunities(), min_size=1, max_size=6), wanted=filters())
async def test_it_finds_what_the_planner_would_have_sent(
    pool: Pool, published: list[dict[str, Any]], wanted: dict[str, Any]
) -> None:
    """One rule: words with % and _ in them, prefixes, values, types and all."""
    filter_ = parse_filter(wanted)
    async with pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        owner = await connection.fetchval(
            "INSERT INTO subscribers (slug, name, kind) VALUES ('een', 'Een', 'incubator') RETURNING id"
        )
        new = subscriptions.NewSubscription(owner, "email", "a@b.example", filter_, "nl", b"x", b"")
        await subscriptions.add(connection, new)
        parsed = [parse_cloudevent(cloudevent(data=data)) for data in published]
        accepted = await events.accept(connection, parsed, accepted_by="http", relay=False)
        await planning.plan(connection, [one.id for one in accepted])
        sent = await connection.fetchval("SELECT count(*) FROM deliveries")
        found = await backtest.run(connection, filter_, utc_now() - timedelta(days=90), shown=10)
        await feeds.append_new(connection)
        fed = await feeds.newest(connection, owner, before=None, limit=10)
        await undone.rollback()
    assert found.count == len(found.newest) == sent == len(fed)


@pytest.mark.parametrize("text", ["100%", "a_b", "back\\slash", "'quote'", "één", "%", "_", "\\"])
async def test_words_are_looked_for_as_they_are(pool: Pool, text: str) -> None:
    async with pool.acquire() as connection, connection.transaction():
        titles = [f"iets met {text} erin", "iets met niets erin", "axb backslash 100"]
        parsed = [parse_cloudevent(cloudevent(data=opportunity(title=title))) for title in titles]
        await events.accept(connection, parsed, accepted_by="http", relay=False)
        wanted = parse_filter({"text": text})
        found = await backtest.run(connection, wanted, utc_now() - timedelta(days=90), shown=10)
        assert [row["title"]["nl"] for row in found.newest] == [titles[0]]


@pytest.mark.parametrize("count", range(1, 6))
async def test_every_word_counts_however_many_there_are(pool: Pool, count: int) -> None:
    words = ["alfa", "bravo", "charlie", "delta", "echo"][:count]
    without = [" ".join(word for word in words if word != missing) for missing in words]
    titles = [" ".join(reversed(words)), *(f"opdracht {title}" for title in without)]
    async with pool.acquire() as connection, connection.transaction():
        parsed = [parse_cloudevent(cloudevent(data=opportunity(title=title))) for title in titles]
        await events.accept(connection, parsed, accepted_by="http", relay=False)
        wanted = parse_filter({"text": " ".join(words)})
        found = await backtest.run(connection, wanted, utc_now() - timedelta(days=90), shown=10)
    assert [row["title"]["nl"] for row in found.newest] == [titles[0]]


async def test_themes_are_suggested_from_a_minutes_memory(pool: Pool) -> None:
    suggestions, now = Suggestions(), utc_now() + timedelta(seconds=1)
    async with pool.acquire() as connection, connection.transaction():
        assert await suggestions.themes(connection, now) == []
        parsed = [parse_cloudevent(cloudevent(data=opportunity(themes=["zorg"])))]
        await events.accept(connection, parsed, accepted_by="http", relay=False)
        assert await suggestions.themes(connection, now + timedelta(seconds=59)) == []
        assert await suggestions.themes(connection, now + timedelta(seconds=60)) == ["zorg"]
