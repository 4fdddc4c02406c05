"""The event stream, replicated and kept in step by the reference client of others (npm `ldes-client`)."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.runtime.database import Pool
from tests.integration.feeding import PUBLIC, Stage, staged
from tests.rig.npm_packages import package
from tests.rig.process import clean_environment

ROOT = f"{PUBLIC}/ldes"
PATIENCE = 120.0
_CREATED = re.compile(r'^<([^>]+)> <http://purl\.org/dc/terms/created> "([^"]+)"', re.MULTILINE)
_IDENTIFIER = re.compile(r'^<([^>]+)> <http://purl\.org/dc/terms/identifier> "([^"]+)"', re.MULTILINE)
_TYPE = re.compile(r'^<([^>]+)> <https://schema\.org/additionalType> "([^"]+)"', re.MULTILINE)

pytestmark = pytest.mark.usefixtures("node")


@dataclass(frozen=True)
class Replicated:
    """The members that a client told of, in its order, and when each was appended."""

    members: Sequence[str]
    created: Sequence[str]
    subjects: Sequence[str]
    types: Sequence[str]

    @property
    def events(self) -> list[str]:
        """The ids of the events."""
        return [member.rpartition("/")[2] for member in self.members]


@pytest.fixture
async def stage(pool: Pool) -> AsyncIterator[Stage]:
    async with staged(pool) as opened:
        yield opened


async def replicate(url: str, *options: str) -> Replicated:
    """Run the client to its end; fail when it does, or when it leaves part of a member out."""
    process = await asyncio.create_subprocess_exec(
        *("node", str(package("ldes-client") / "dist" / "bin" / "cli.js"), url, *options),
        env=clean_environment({}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    told = out.decode()
    assert (process.returncode, "rror" in err.decode()) == (0, False), err.decode()
    created, subjects, types = (found.findall(told) for found in (_CREATED, _IDENTIFIER, _TYPE))
    assert [one for one, _ in created] == [one for one, _ in subjects] == [one for one, _ in types]
    return Replicated(
        *([one[0] for one in created], *([one[1] for one in f] for f in (created, subjects, types)))
    )


async def test_it_gets_every_version_once_in_order_and_later_only_what_is_new(
    stage: Stage, tmp_path: Path
) -> None:
    ids = await stage.announce(*({"id": f"opdracht-{n:03}"} for n in range(747)))
    ids += await stage.announce({"id": "opdracht-000", "version": 2}, kind="updated")
    ids += [await stage.notice(kind, "opdracht-001") for kind in ("withdrawn", "awarded")]
    url, keep = f"{stage.api.url}{ROOT}", ("--ordered", "ascending", "--save", str(tmp_path / "state"))
    first = await replicate(url, *keep)
    assert first.events == [str(event) for event in ids]
    assert list(first.created) == sorted(set(first.created))
    assert list(first.types[-3:]) == [f"opportunity.{kind}" for kind in ("updated", "withdrawn", "awarded")]
    again = await replicate(url, *keep)
    assert again.events == []
    later = [await stage.notice("withdrawn", "opdracht-000", version=2)]
    later += await stage.announce(*({"id": f"later-{n}"} for n in range(300)))
    news = await replicate(url, *keep)
    assert news.events == [str(event) for event in later]


async def test_pages_that_are_full_are_told_never_to_be_asked_again(stage: Stage, tmp_path: Path) -> None:
    await stage.announce(*({} for _ in range(750)))
    await stage.items()
    for number in (1, 2, 3):
        answer = await stage.get(f"{ROOT}/pages/{number}")
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["ETag"]
    assert (await stage.get(ROOT)).headers["Cache-Control"] == "public, max-age=300"


@pytest.mark.parametrize("options", [(), ("--no-shape",), ("--ordered", "descending")])
async def test_it_finds_the_same_whichever_way_it_reads(stage: Stage, options: Sequence[str]) -> None:
    ids = await stage.announce(*({} for _ in range(260)))
    found = await replicate(f"{stage.api.url}{ROOT}", *options)
    assert sorted(found.events) == sorted(map(str, ids))
    if "descending" in options:
        assert list(found.created) == sorted(found.created, reverse=True)


async def test_it_can_begin_in_the_middle(stage: Stage) -> None:
    ids = await stage.announce(*({} for _ in range(260)))
    everything = await replicate(f"{stage.api.url}{ROOT}", "--ordered", "ascending")
    since = everything.created[-11]  # its clock knows milliseconds, and so no two of ours are in the same
    found = await replicate(f"{stage.api.url}{ROOT}", "--ordered", "ascending", "--after", since)
    assert found.events == [str(event) for event in ids[-10:]]


async def test_a_personal_stream_is_kept_in_step_too(stage: Stage, tmp_path: Path) -> None:
    await stage.announce(*({"id": f"zorg-{n}", "themes": ["zorg"]} for n in range(5)))
    await stage.announce(*({"id": f"water-{n}", "themes": ["water"]} for n in range(300)))
    await stage.subscriber("corda", {"themes": ["zorg"]})
    url = f"{stage.api.url}/feeds/{await stage.token('corda')}/opportunities/ldes"
    keep = ("--ordered", "ascending", "--save", str(tmp_path / "state"))
    first = await replicate(url, *keep)
    assert list(first.subjects) == [f"zorg-{n}" for n in range(5)]
    assert all(member.startswith(f"{stage.api.url}{ROOT}/members/") for member in first.members)
    await stage.announce({"id": "zorg-0", "version": 2, "themes": ["zorg"]}, kind="updated")
    await stage.notice("withdrawn", "zorg-1")
    await stage.notice("withdrawn", "water-1")
    news = await replicate(url, *keep)
    assert list(zip(news.subjects, news.types, strict=True)) == [
        ("zorg-0", "opportunity.updated"),
        ("zorg-1", "opportunity.withdrawn"),
    ]


async def test_it_fails_where_there_is_no_stream(stage: Stage) -> None:
    with pytest.raises(AssertionError):
        await replicate(f"{stage.api.url}/feeds/{'x' * 22}/opportunities/ldes", "--retry-count", "1")
