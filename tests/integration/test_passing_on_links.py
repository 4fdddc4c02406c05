"""Links to tell that it was passed on, wherever they stand; and the ledger, from those told to proposals."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import feedparser
import pytest
from standardwebhooks import Webhook as Oracle

from services.domain.passing_on import PURPOSE, Door, Link, read_token
from services.runtime.database import Pool
from services.storage import ledger
from tests.integration.feeding import FORMATS, PUBLIC, Stage, calendar, staged
from tests.integration.owing import Books, sending, settings_for
from tests.integration.web import Api
from tests.rig.receiver import Receiver
from tests.rig.samples import opportunity

URL = re.compile(r"https?://[^\s\"<>]+/p/[A-Za-z0-9_-]+")


@pytest.fixture
async def stage(pool: Pool) -> AsyncIterator[Stage]:
    async with staged(pool) as opened:
        yield opened


def read(url: str, api: Api) -> Link:
    """Read a link as the page does."""
    home, _, token = url.rpartition("/")
    assert home == f"{api.url}/p"
    link = read_token(token, api.settings.signing_keys(PURPOSE))
    assert link is not None, url
    return link


async def post(stage: Stage, url: str, **told: Any) -> None:
    headers = {"Content-Type": "application/json"}
    path = url.removeprefix(stage.api.url)
    answer = await stage.api.ask("POST", path, key=None, headers=headers, data=json.dumps(told))
    assert answer.status == 200, answer.body


async def links(stage: Stage, feed: str) -> dict[str, str]:
    """Read the link of each opportunity in a subscriber's JSON Feed."""
    return {
        item["_omroeper"]["reference"]: item["_omroeper"]["passed_on_url"]
        for item in await stage.items(f"{feed}.json")
    }


async def test_every_form_of_a_personal_feed_has_the_reader_s_own_link(stage: Stage) -> None:
    (event_id,) = await stage.announce({"id": "kade"})
    await stage.subscriber("corda")
    subscriber_id = await stage.pool.fetchval("SELECT id FROM subscribers")
    feed = f"/feeds/{await stage.token('corda')}/opportunities"
    (url,) = (await links(stage, feed)).values()
    assert read(url, stage.api) == Link(subscriber_id, event_id, Door.FEED)
    item = (await stage.items(f"{feed}.json"))[0]
    assert item["content_text"].endswith(f"\n\nDoorgegeven? Laat het weten: {url}")
    for suffix in ("atom", "rss"):
        parsed = feedparser.parse((await stage.get(f"{feed}.{suffix}")).body)
        assert not parsed.bozo
        entry = parsed.entries[0]
        related = [link for link in entry.links if link.rel == "related"]
        assert [(link.href, link.title) for link in related] == [(url, "Doorgegeven? Laat het weten")]
        assert entry.link == item["url"]
    rss = feedparser.parse((await stage.get(f"{feed}.rss")).body).entries[0]
    assert f'<a href="{url}">{url}</a>' in rss.description
    event = calendar((await stage.get(f"{feed}.ics")).body).walk("VEVENT")[0]
    assert url in str(event["DESCRIPTION"])
    assert "kade" in (await stage.get(url)).body


async def test_the_public_feeds_and_the_event_stream_have_no_link(stage: Stage) -> None:
    await stage.announce({"id": "kade"})
    await stage.subscriber("corda")
    own = f"/feeds/{await stage.token('corda')}/opportunities"
    public = [f"{PUBLIC}.{suffix}" for suffix in FORMATS]
    for path in (*public, f"{PUBLIC}/ldes/pages/1", f"{own}/ldes/pages/1"):
        answer = await stage.get(path)
        assert answer.status == 200
        assert "/p/" not in str(answer.body)
        assert "passed_on" not in str(answer.body)


async def test_two_readers_of_one_opportunity_have_links_of_their_own(stage: Stage) -> None:
    await stage.announce({"id": "kade"})
    found = set()
    for slug in ("corda", "hangar"):
        await stage.subscriber(slug)
        found |= set((await links(stage, f"/feeds/{await stage.token(slug)}/opportunities")).values())
    assert len({read(url, stage.api).subscriber_id for url in found}) == 2


async def test_a_webhook_s_link_is_under_its_signature_and_can_be_posted_to(
    pool: Pool, database_url: str
) -> None:
    async with staged(pool) as stage, Receiver() as receiver:
        settings = settings_for(
            database_url, public_url=stage.api.url, secret_key=stage.api.settings.secret_key
        )
        books = Books(pool, settings)
        somebody = await books.subscribe(receiver.url("/hook"))
        data = opportunity(id="kade", title={"nl": "Één “kade” </script>"}, extra={"_omroeper": 1})
        event_id = await books.plan(data={**data, "_omroeper": {"passed_on_url": "https://evil.example/"}})
        async with sending(pool, settings):
            (request,) = await receiver.wait_for(1)
        body = Oracle(somebody.secret).verify(request.body, request.headers)
        assert list(body) == ["type", "timestamp", "data"]
        ours = body["data"].pop("_omroeper")
        assert list(ours) == ["passed_on_url"]
        assert body["data"] == await pool.fetchval("SELECT data - '_omroeper' FROM events")
        at_once = {**body, "data": {**body["data"], "_omroeper": ours}}
        assert request.body == json.dumps(at_once, separators=(",", ":"), ensure_ascii=False).encode()
        assert read(ours["passed_on_url"], stage.api).door is Door.WEBHOOK
        await post(stage, ours["passed_on_url"], way="newsletter", startups=40)
        row = await pool.fetchrow("SELECT * FROM passings")
        assert row is not None
        assert (row["event_id"], row["subject"], row["door"]) == (event_id, "kade", "webhook")


async def show(stage: Stage, event_id: UUID) -> dict[str, Any]:
    answer = await stage.call("GET", f"/v1/events/{event_id}")
    assert answer.status == 200, answer.body
    body: dict[str, Any] = answer.body
    return body


async def test_the_ledger_tells_who_passed_it_on_by_which_way_and_to_how_many(stage: Stage) -> None:
    slugs = ("corda", "hangar", "de-kaai", "start-it")
    for slug in slugs:
        await stage.subscriber(slug, {})
    first, other = await stage.announce({"id": "kade"}, {"id": "brug"})
    (second,) = await stage.announce({"id": "kade", "version": 2}, kind="updated")
    nothing = {"subscribers": 0, "startups": 0, "ways": {}, "nobody_suited": 0}
    assert ((await show(stage, first))["passed_on"], (await show(stage, first))["proposals"]) == (
        nothing,
        None,
    )
    own = {
        slug: (await links(stage, f"/feeds/{await stage.token(slug)}/opportunities"))["kade"]
        for slug in slugs
    }
    # the same start-ups read the newsletter and come to the meeting: they are counted once
    await post(stage, own["corda"], way="newsletter", startups=40)
    await post(stage, own["corda"], way="meeting", startups=12)
    await post(stage, own["hangar"], way="newsletter", startups=300)
    await post(stage, own["de-kaai"], way="website")
    await post(stage, own["start-it"], way="other", startups=0)
    for event_id in (first, second):
        body = await show(stage, event_id)
        assert body["passed_on"] == {
            "subscribers": 3,
            "startups": 340,
            "ways": {"meeting": 1, "newsletter": 2, "website": 1},
            "nobody_suited": 1,
        }
        told = {delivery["subscriber"]: delivery["passed_on"] for delivery in body["deliveries"]}
        assert told == {"corda": True, "hangar": True, "de-kaai": True, "start-it": False}
    assert (await show(stage, other))["passed_on"] == nothing


async def test_the_ledger_keeps_the_last_that_was_said_of_the_proposals(stage: Stage) -> None:
    (event_id,) = await stage.announce({"id": "kade"})
    assert (await show(stage, event_id))["proposals"] is None
    await stage.notice("closed", "kade", proposals=6)
    assert (await show(stage, event_id))["proposals"] == {"received": 6, "startup_won": None}
    await stage.notice("closed", "kade", proposals=7)
    awarded = await stage.notice("awarded", "kade", startup_won=True)
    for each in (event_id, awarded):
        assert (await show(stage, each))["proposals"] == {"received": 7, "startup_won": True}
    # a withdrawal says nothing of proposals, whatever it holds
    await stage.notice("withdrawn", "kade", proposals=9, startup_won=False)
    assert (await show(stage, event_id))["proposals"] == {"received": 7, "startup_won": True}
    (other,) = await stage.announce({"id": "brug"})
    assert (await show(stage, other))["proposals"] is None


@pytest.mark.parametrize("kept", ['"zeven"', "-1", "7.5", "1e400", "[7]", "{}", "null", "99999999999"])
async def test_what_was_kept_before_it_meant_anything_does_not_break_the_ledger(
    stage: Stage, kept: str
) -> None:
    await stage.announce({"id": "kade"})
    awarded = await stage.notice("awarded", "kade", proposals=7)
    data = f'{{"id": "kade", "proposals": {kept}, "startup_won": {kept}}}'
    await stage.pool.execute("UPDATE events SET data = $2::text::jsonb WHERE id = $1", awarded, data)
    assert (await show(stage, awarded))["proposals"] is None


async def test_receipts_are_about_what_came_back_alone(stage: Stage, pool: Pool) -> None:
    await stage.subscriber("corda", {})
    (event_id,) = await stage.announce({})
    insert = "INSERT INTO receipts (delivery_id, kind) SELECT id, $1 FROM deliveries"
    await pool.execute(insert, "soft")
    for kind, refused in (("passed_on", "check constraint"), ("soft", "unique constraint")):
        with pytest.raises(Exception, match=refused):
            await pool.execute(insert, kind)
    async with pool.acquire() as connection:
        ids = await pool.fetch("SELECT id FROM deliveries WHERE event_id = $1", event_id)
        assert len(await ledger.receipts(connection, [row["id"] for row in ids])) == 1
