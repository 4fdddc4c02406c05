"""Conditional requests: what a receiver has already is not sent again, and what changed always is."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from services.runtime.database import Pool
from tests.integration.feeding import FORMATS, PUBLIC, Stage, staged
from tests.integration.web import Answer

ADDRESSES = [*(f"{PUBLIC}.{suffix}" for suffix in FORMATS), f"{PUBLIC}/ldes", f"{PUBLIC}/ldes/pages/1"]


@pytest.fixture
async def stage(pool: Pool) -> AsyncIterator[Stage]:
    async with staged(pool) as opened:
        yield opened


async def age(pool: Pool, by: timedelta) -> None:
    """Let what was appended be older than it is."""
    await pool.execute("UPDATE stream_members SET appended_at = appended_at - $1::interval", by)


def unchanged(answer: Answer) -> bool:
    assert answer.status in (200, 304)
    assert bool(answer.body) == (answer.status == 200)
    return answer.status == 304


@pytest.mark.parametrize("address", ADDRESSES)
async def test_the_same_is_not_sent_twice_and_a_change_is_sent(stage: Stage, address: str) -> None:
    await stage.announce({})
    first = await stage.get(address)
    tag = first.headers["ETag"]
    assert tag.startswith('"')
    assert first.headers["Cache-Control"] == "public, max-age=300"
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await stage.get(address, If_None_Match=known)
        assert unchanged(again)
        assert (again.headers["ETag"], again.headers["Cache-Control"]) == (tag, "public, max-age=300")
    assert not unchanged(await stage.get(address, If_None_Match='"other"'))
    await stage.announce({})
    changed = await stage.get(address, If_None_Match=tag)
    assert not unchanged(changed)
    assert changed.headers["ETag"] != tag


async def test_each_page_format_and_way_of_writing_has_a_tag_of_its_own(stage: Stage) -> None:
    await stage.announce({})
    tags = [(await stage.get(address)).headers["ETag"] for address in ADDRESSES]
    tags += [(await stage.get(f"{PUBLIC}.atom?{query}")).headers["ETag"] for query in ("after=0", "before=9")]
    tags.append((await stage.get(f"{PUBLIC}/ldes", Accept="application/ld+json")).headers["ETag"])
    assert len(set(tags)) == len(ADDRESSES) + 3


@pytest.mark.parametrize("address", [a for a in ADDRESSES if not a.endswith("ics")])
async def test_what_has_not_changed_since_is_not_sent(stage: Stage, pool: Pool, address: str) -> None:
    await stage.announce({})
    await stage.items()
    await age(pool, timedelta(minutes=5))
    changed = (await stage.get(address)).headers["Last-Modified"]
    at = parsedate_to_datetime(changed)
    assert unchanged(await stage.get(address, If_Modified_Since=changed))
    assert unchanged(await stage.get(address, If_Modified_Since=http_date(at + timedelta(days=1))))
    assert not unchanged(await stage.get(address, If_Modified_Since=http_date(at - timedelta(seconds=2))))
    assert not unchanged(await stage.get(address, If_Modified_Since="yesterday"))
    # a tag says more than an instant (RFC 9110 section 13.1.3)
    both = await stage.get(address, If_Modified_Since=changed, If_None_Match='"other"')
    assert not unchanged(both)
    await stage.announce({})
    assert not unchanged(await stage.get(address, If_Modified_Since=changed))


def http_date(at: datetime) -> str:
    return format_datetime(at, usegmt=True)


async def test_who_asks_by_the_instant_alone_misses_nothing_of_the_same_second(
    stage: Stage, pool: Pool
) -> None:
    for n in range(1, 40):
        await stage.announce({})
        answer = await stage.get(f"{PUBLIC}.json")
        at = answer.headers.get("Last-Modified")
        await stage.announce({})
        if at is not None:
            assert not unchanged(await stage.get(f"{PUBLIC}.json", If_Modified_Since=at))
        if n % 10 == 0:
            await age(pool, timedelta(seconds=2))


async def test_a_head_request_answers_the_headers_alone(stage: Stage) -> None:
    await stage.announce({})
    for address in (a for a in ADDRESSES if not a.endswith("json")):
        got, head = await stage.get(address), await stage.head(address)
        assert (head.status, head.headers["ETag"], head.body) == (200, got.headers["ETag"], "")


@pytest.mark.parametrize("place", ["opportunities.ics", "opportunities/ldes/pages/1"])
async def test_what_is_kept_is_what_would_be_written(stage: Stage, pool: Pool, place: str) -> None:
    await stage.announce(*({"themes": ["zorg" if n % 2 else "energie"]} for n in range(6)))
    await stage.subscriber("een", {"themes": ["zorg"]})
    await stage.subscriber("twee", {"themes": ["zorg"]})
    addresses = [f"/feeds/{place}"]
    for slug in ("een", "twee"):
        token = (await stage.call("POST", f"/v1/subscribers/{slug}/feed-token")).body["token"]
        addresses.append(f"/feeds/{token}/{place}")
    for _ in range(2):
        first = [(await stage.get(address)).body for address in addresses]
        again = [(await stage.get(address)).body for address in addresses]
        async with staged(pool) as other:  # a process that has kept nothing
            anew = [
                (await other.get(address)).body.replace(other.api.url, stage.api.url) for address in addresses
            ]
        assert first == again == anew
        assert len(set(first)) == len(addresses)
        await stage.announce({"themes": ["zorg"]})
        assert not {(await stage.get(address)).body for address in addresses} & set(first)


async def test_many_readers_at_once_all_get_the_same(stage: Stage) -> None:
    await stage.announce(*({} for _ in range(30)))
    answers = await asyncio.gather(*(stage.get(f"{PUBLIC}.atom") for _ in range(20)))
    assert len({(answer.status, answer.headers["ETag"], answer.body) for answer in answers}) == 1
