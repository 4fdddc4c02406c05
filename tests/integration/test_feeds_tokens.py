"""A subscriber's own feeds: a secret address, and the filters of its subscriptions."""

from collections.abc import AsyncIterator

import pytest

from services.runtime.database import Pool
from tests.integration.feeding import FORMATS, PUBLIC, Stage, staged
from tests.integration.web import PROBLEM, Answer

OWN = [*(f"opportunities.{suffix}" for suffix in FORMATS), "opportunities/ldes", "opportunities/ldes/pages/1"]


@pytest.fixture
async def stage(pool: Pool) -> AsyncIterator[Stage]:
    async with staged(pool) as opened:
        yield opened


def look(answer: Answer) -> tuple[object, ...]:
    """Give what a stranger sees of an answer, but for the time."""
    return answer.status, answer.body, {**answer.headers, "Date": ""}


async def test_a_token_is_told_once_and_opens_every_format(stage: Stage, pool: Pool) -> None:
    await stage.announce({"id": "een"})
    await stage.subscriber("corda")
    answer = await stage.call("POST", "/v1/subscribers/corda/feed-token")
    token = answer.body["token"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body["url"] == f"{stage.api.url}/feeds/{token}/opportunities.atom"
    for path in OWN:
        own = await stage.get(f"/feeds/{token}/{path}")
        assert own.status == 200
        assert own.headers["Cache-Control"] == "private, max-age=300"
        assert own.headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in own.headers
    rows = await pool.fetch("SELECT feed_tokens::text AS whole FROM feed_tokens")
    assert all(token not in row["whole"] for row in rows)
    assert token not in str((await stage.call("GET", "/v1/subscribers/corda")).body)


async def test_unknown_replaced_and_ended_tokens_all_look_the_same(stage: Stage) -> None:
    await stage.announce({})
    await stage.subscriber("corda")
    await stage.subscriber("hangar")
    old, ended = await stage.token("corda"), await stage.token("hangar")
    new = await stage.token("corda")
    await stage.end_subscriber("hangar")
    for path in OWN:
        assert (await stage.get(f"/feeds/{new}/{path}")).status == 200
        seen = [
            look(await stage.get(f"/feeds/{t}/{path}")) for t in (old, ended, "x" * 22, "é", "%00", "%F0")
        ]
        assert seen[0][0] == 404
        assert all(one == seen[0] for one in seen)
        assert (await stage.get(f"/feeds/{old}/{path}", If_None_Match="*")).headers["Content-Type"] == PROBLEM


async def test_only_a_known_subscriber_gets_a_token(stage: Stage) -> None:
    for slug in ("nobody", "No-Slug", "%00"):
        assert (await stage.call("POST", f"/v1/subscribers/{slug}/feed-token")).status == 404


async def test_a_feed_holds_what_any_of_the_active_subscriptions_wants(stage: Stage) -> None:
    await stage.announce(
        {"id": "gent", "regions": ["BE234"], "themes": ["zorg"]},
        {"id": "genk", "regions": ["BE221"], "themes": ["energie"]},
        {"id": "luik", "regions": ["BE332"], "themes": ["water"]},
    )
    by_region, by_theme = await stage.subscriber("corda", {"regions": ["BE23"]}, {"themes": ["energie"]})
    feed = f"/feeds/{await stage.token('corda')}/opportunities.json"
    assert sorted(await stage.references(feed)) == ["genk", "gent"]
    tag = (await stage.get(feed)).headers["ETag"]
    await stage.call("POST", f"/v1/subscriptions/{by_theme}/pause")
    changed = await stage.get(feed, If_None_Match=tag)
    assert changed.status == 200
    assert await stage.references(feed) == ["gent"]
    await stage.call("PATCH", f"/v1/subscriptions/{by_region}", {"filter": {"regions": ["BE33"]}})
    assert await stage.references(feed) == ["luik"]
    await stage.end_subscription(by_region)
    assert sorted(await stage.references(feed)) == ["genk", "gent", "luik"]


async def test_the_latest_version_decides_and_its_withdrawal_is_shown(stage: Stage) -> None:
    await stage.announce({"id": "een", "themes": ["zorg"]}, {"id": "twee", "themes": ["zorg"]})
    await stage.subscriber("corda", {"themes": ["zorg"]})
    feed = f"/feeds/{await stage.token('corda')}/opportunities.json"
    await stage.announce({"id": "een", "version": 2, "themes": ["water"]}, kind="updated")
    await stage.notice("withdrawn", "twee")
    await stage.notice("withdrawn", "een", version=2)
    items = await stage.items(feed)
    assert [(i["_omroeper"]["reference"], i["_omroeper"]["status"]) for i in items] == [("twee", "withdrawn")]


async def test_types_that_a_filter_names_choose_what_has_happened(stage: Stage) -> None:
    await stage.announce({"id": "een"}, {"id": "twee"})
    await stage.subscriber("corda", {"types": ["awarded"]})
    feed = f"/feeds/{await stage.token('corda')}/opportunities.json"
    assert await stage.references(feed) == []
    await stage.notice("awarded", "een")
    assert await stage.references(feed) == ["een"]


async def test_a_new_token_does_not_make_a_new_feed(stage: Stage) -> None:
    await stage.announce({})
    await stage.subscriber("corda")
    await stage.subscriber("hangar")
    ids = set()
    for slug in ("corda", "corda", "hangar"):
        body = (await stage.get(f"/feeds/{await stage.token(slug)}/opportunities.atom")).body
        ids.add(body.split("<id>")[1].split("</id>")[0])
    ids.add((await stage.get(f"{PUBLIC}.atom")).body.split("<id>")[1].split("</id>")[0])
    assert len(ids) == 3


async def test_a_feed_is_not_remembered_by_the_instant_alone(stage: Stage) -> None:
    await stage.announce({})
    await stage.subscriber("corda")
    feed = f"/feeds/{await stage.token('corda')}/opportunities.atom"
    answer = await stage.get(feed, If_Modified_Since="Fri, 01 Jan 2999 00:00:00 GMT")
    assert answer.status == 200
    assert "Last-Modified" not in answer.headers
