"""Receivers that were away: they come back with a cursor, and miss nothing of what came meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.runtime.database import Pool
from services.storage.feeds import append_new
from tests.integration.feeding import PUBLIC, Receiver, Stage, staged
from tests.rig.samples import opportunity


@pytest.fixture
async def stage(pool: Pool) -> AsyncIterator[Stage]:
    async with staged(pool) as opened:
        yield opened


async def test_a_receiver_catches_up_by_itself_oldest_change_first(stage: Stage) -> None:
    receiver = await Receiver({}).catch_up(stage)
    assert receiver == Receiver({}, 0)
    await stage.announce(*({"id": f"opdracht-{n:03}"} for n in range(101)))
    receiver = await receiver.catch_up(stage)
    came_as = [item["_omroeper"] for item in receiver.kept.values()]
    assert sorted(item["reference"] for item in came_as) == [f"opdracht-{n:03}" for n in range(101)]
    assert [item["position"] for item in came_as] == list(range(1, 102))
    assert receiver.cursor == 101
    await stage.notice("withdrawn", "opdracht-000")
    came = await Receiver({}, receiver.cursor).catch_up(stage)
    assert [item["_omroeper"]["status"] for item in came.kept.values()] == ["withdrawn"]
    assert await came.catch_up(stage) == came


async def test_every_format_tells_the_cursor_in_a_header(stage: Stage) -> None:
    await stage.announce(*({} for _ in range(60)))
    for suffix in ("atom", "rss", "json"):
        assert (await stage.get(f"{PUBLIC}.{suffix}")).headers["Feed-Cursor"] == "60"
        assert (await stage.get(f"{PUBLIC}.{suffix}?after=0")).headers["Feed-Cursor"] == "50"
        assert (await stage.get(f"{PUBLIC}.{suffix}?after=50")).headers["Feed-Cursor"] == "60"
        assert "Feed-Cursor" not in (await stage.get(f"{PUBLIC}.{suffix}?before=30")).headers
    body = (await stage.get(f"{PUBLIC}.json")).body
    assert body["_omroeper"] == {"cursor": 60, "resume_url": f"{stage.api.url}{PUBLIC}.json?after=60"}


async def test_a_receiver_misses_nothing_of_what_is_announced_while_it_reads(stage: Stage) -> None:
    async def announce(writer: int) -> None:
        for turn in range(15):
            names = [f"w{writer}-{turn}-{n}" for n in range(4)]
            await stage.announce(*({"id": name} for name in names))
            await stage.announce({"id": names[0], "version": 2}, kind="updated")
            await stage.notice("withdrawn", names[1])

    async def receive() -> Receiver:
        receiver = Receiver({})
        while not writing.done():
            receiver = await receiver.catch_up(stage)
        return await receiver.catch_up(stage)

    writing = asyncio.gather(*(announce(writer) for writer in range(3)))
    received = await asyncio.gather(receive(), receive(), receive())
    await writing
    expected = {
        f"w{writer}-{turn}-{n}": ("updated", "withdrawn", "published", "published")[n]
        for writer in range(3)
        for turn in range(15)
        for n in range(4)
    }
    for receiver in received:
        found = [item["_omroeper"] for item in receiver.kept.values()]
        assert {item["reference"]: item["status"] for item in found} == expected


async def test_the_stream_has_no_gaps_and_its_instants_only_grow(stage: Stage, pool: Pool) -> None:
    async def append() -> None:
        async with pool.acquire() as connection:
            await append_new(connection)

    for _ in range(5):
        await stage.announce(*({} for _ in range(10)))
        await asyncio.gather(*(append() for _ in range(5)))
    rows = await pool.fetch("SELECT position, appended_at FROM stream_members ORDER BY position")
    assert [row["position"] for row in rows] == list(range(1, 51))
    stamps = [row["appended_at"] for row in rows]
    assert stamps == sorted(set(stamps))


async def test_a_clock_that_goes_back_does_not_take_the_stream_along(stage: Stage, pool: Pool) -> None:
    await stage.announce({})
    await stage.items()
    await pool.execute("UPDATE stream_members SET appended_at = now() + interval '1 hour'")
    await stage.announce({}, {})
    answer = await stage.get(f"{PUBLIC}.json")
    assert "Last-Modified" not in answer.headers
    rows = await pool.fetch("SELECT appended_at FROM stream_members ORDER BY position")
    stamps = [row["appended_at"] for row in rows]
    assert stamps == sorted(set(stamps))


async def test_events_that_are_not_planned_are_not_in_the_feeds_yet(stage: Stage) -> None:
    assert (await stage.api.post(opportunity())).status == 202
    assert await stage.items() == []
    await stage.announce({"id": "gepland"})
    assert await stage.references() == ["gepland"]
