"""Whatever happens in whatever order, somebody who reads by cursor ends up knowing what a full read says."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.runtime.database import Pool
from tests.integration.feeding import PUBLIC, Stage, staged
from tests.rig.samples import cloudevent, opportunity

#: More than two pages of them, so that pages are read while what is on them changes.
SUBJECTS = 120
WHOLE = ("published", "updated")
#: Of two notices that both stand, the first of these is shown.
NOTICES = ("withdrawn", "awarded", "closed")


@dataclass(frozen=True)
class Happens:
    """The same happens to a row of opportunities, in one transaction."""

    kind: str
    first: int
    count: int
    version: int


@dataclass(frozen=True)
class Reads:
    """The reader comes, reads so many pages, and goes; or loses its place and goes on from an older one."""

    pages: int
    keeps_its_place: bool


happenings = st.builds(
    Happens,
    kind=st.sampled_from((*WHOLE, *NOTICES)),
    first=st.integers(0, SUBJECTS - 1),
    count=st.integers(1, SUBJECTS),
    version=st.integers(1, 3),
)
histories = st.lists(
    st.one_of(happenings, happenings, st.builds(Reads, st.integers(1, 3), st.booleans())), max_size=14
)
bounded = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass
class Reader:
    """Somebody who keeps what a feed says, from a cursor on."""

    stage: Stage
    cursor: int
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def read_page(self) -> bool:
        """Read a page; tell whether there is another."""
        body = (await self.stage.get(f"{PUBLIC}.json?after={self.cursor}")).body
        self.kept |= {item["id"]: item for item in body["items"]}
        self.cursor = body["_omroeper"]["cursor"]
        return "next_url" in body

    async def catch_up(self) -> None:
        """Read on until there is no more."""
        while await self.read_page():
            pass


@dataclass
class World:
    """What has happened, told by the rules that docs/feeds.md gives."""

    told: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def happens(self, subject: str, kind: str, version: int) -> None:
        self.told.setdefault(subject, []).append((kind, version))

    @property
    def statuses(self) -> dict[str, str]:
        """How each opportunity stands of which a whole version has come."""
        stands = {subject: _status(history) for subject, history in self.told.items()}
        return {subject: status for subject, status in stands.items() if status}


def _status(history: Sequence[tuple[str, int]]) -> str | None:
    whole = [(version, place) for place, (kind, version) in enumerate(history) if kind in WHOLE]
    if not whole:
        return None
    latest = max(whole)
    standing = {
        kind
        for place, (kind, version) in enumerate(history)
        if kind in NOTICES and (version >= latest[0] or place > latest[1])
    }
    return next((kind for kind in NOTICES if kind in standing), history[latest[1]][0])


@pytest.fixture
async def stage(pool: Pool) -> AsyncIterator[Stage]:
    async with staged(pool) as opened:
        yield opened


@bounded
@given(history=histories)
async def test_a_reader_that_comes_and_goes_knows_what_a_full_read_says(
    stage: Stage, history: list[Happens | Reads]
) -> None:
    # each history is of opportunities of its own, and begins where the one before ended
    name, start = uuid4().hex[:8], int((await stage.get(f"{PUBLIC}.json")).headers["Feed-Cursor"])
    world, reader, older = World(), Reader(stage, start), start
    for step in history:
        if isinstance(step, Happens):
            await _happen(stage, world, name, step)
            continue
        older, reader.cursor = reader.cursor, reader.cursor if step.keeps_its_place else older
        for _ in range(step.pages):
            if not await reader.read_page():
                break
    await reader.catch_up()
    full = Reader(stage, start)
    await full.catch_up()
    assert reader.kept == full.kept
    assert reader.cursor == full.cursor
    shown = [item["_omroeper"] for item in full.kept.values()]
    assert {item["reference"]: item["status"] for item in shown} == world.statuses


async def _happen(stage: Stage, world: World, name: str, step: Happens) -> None:
    subjects = [f"{name}-{n}" for n in range(step.first, min(step.first + step.count, SUBJECTS))]
    given: list[dict[str, Any]] = []
    for subject in subjects:
        world.happens(subject, step.kind, step.version)
        data = {"id": subject, "version": step.version}
        whole = opportunity(**data) if step.kind in WHOLE else data
        given.append(cloudevent(type=f"opportunity.{step.kind}", data=whole))
    await stage.plan(given)
