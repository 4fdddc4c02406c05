"""What the tests of a module share: one event loop, one database, one server with something on every page."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.runtime.database import Pool, open_pool
from tests.browser.scenes import Scene, scene
from tests.rig import postgres


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(_postgres: str) -> AsyncIterator[Pool]:
    """A pool on a database of this module alone."""
    async with postgres.fresh_database(_postgres) as dsn, open_pool(dsn) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Everything that we serve, with something on every page; tests that change it bring their own house."""
    async with scene(pool, tmp_path_factory.mktemp("scene")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def nothing_yet(_postgres: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """The same where nothing has happened yet."""
    async with (
        postgres.fresh_database(_postgres) as dsn,
        open_pool(dsn) as opened,
        scene(opened, tmp_path_factory.mktemp("empty"), empty=True) as served,
    ):
        yield served
