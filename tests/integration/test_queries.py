"""Every named query is used, can be prepared, and the hot one keeps its indexes."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from services.runtime.database import Pool
from services.storage.queries import Queries
from tests.integration.owing import Books, settings_for

SERVICES = Path(__file__).parents[2] / "services"
FILES = sorted(
    chain(SERVICES.glob("storage/*.sql"), SERVICES.glob("embedded/*.sql"), SERVICES.glob("*/queries/*.sql"))
)
NAMES = [path.relative_to(SERVICES).as_posix() for path in FILES]
EVERY = [(path, name) for path in FILES for name in Queries(path).by_name]


def test_there_are_queries_to_look_at() -> None:
    assert {"storage/deliveries.sql", "storage/planning.sql", "embedded/demo.sql"} <= set(NAMES)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_module_uses_each_of_its_queries_and_no_others(path: Path) -> None:
    used = set(re.findall(r"_sql\.([a-z_]+)", path.with_suffix(".py").read_text("utf-8")))
    assert used == set(Queries(path).by_name)


@pytest.mark.parametrize(("path", "name"), EVERY, ids=[f"{path.stem}.{name}" for path, name in EVERY])
def test_a_query_says_what_each_parameter_is(path: Path, name: str) -> None:
    statement = Queries(path).by_name[name]
    comments = "\n".join(line for line in statement.splitlines() if line.lstrip().startswith("--"))
    body = "\n".join(line for line in statement.splitlines() if not line.lstrip().startswith("--"))
    assert set(re.findall(r"\$\d+", body)) == set(re.findall(r"\$\d+", comments))


async def test_every_query_can_be_prepared_on_the_schema(pool: Pool) -> None:
    async with pool.acquire() as connection:
        for path, name in EVERY:
            statement = Queries(path).by_name[name]
            try:
                prepared = await connection.prepare(statement)
            except Exception as error:
                raise AssertionError(f"{path.name}: {name}: {error}") from error
            numbers = {int(number) for number in re.findall(r"\$(\d+)", statement)}
            assert len(prepared.get_parameters()) == max(numbers, default=0)


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *chain.from_iterable(_nodes(child) for child in plan.get("Plans", ()))]


CROWD = """
INSERT INTO deliveries (event_id, subscription_id, subscriber_id, channel, destination, match, state, turn,
  attempts, settled_at, next_attempt_at, replay, replay_of)
SELECT d.event_id, d.subscription_id, d.subscriber_id, d.channel, d.destination, d.match,
  CASE WHEN n <= 20000 THEN 'sent' WHEN n <= 20100 THEN 'pending' ELSE 'retrying' END::delivery_state, now(),
  1, CASE WHEN n <= 20000 THEN now() END, CASE WHEN n > 20100 THEN now() END, n, d.id
FROM deliveries d, generate_series(1, 20200) n"""


@pytest.mark.parametrize("analysed", [True, False], ids=["with statistics", "before any"])
async def test_claiming_looks_only_at_what_is_owed(pool: Pool, database_url: str, analysed: bool) -> None:
    books = Books(pool, settings_for(database_url))
    await books.owe("http://127.0.0.1:9/")
    await pool.execute(CROWD)
    if analysed:
        await pool.execute("ANALYZE")
    claim = Queries(SERVICES / "storage/deliveries.sql").by_name["claim"]
    async with pool.acquire() as connection, connection.transaction():
        explained = await connection.fetchval(
            f"EXPLAIN (FORMAT JSON) {claim}", "webhook", 100, 50, 60.0, ["busy.example"], [0], 8
        )
    scans = [node for node in _nodes(_plan(explained)) if node.get("Relation Name") == "deliveries"]
    indexes = {node["Index Name"] for node in _nodes(_plan(explained)) if "Index Name" in node}
    assert {"deliveries_first", "deliveries_again"} <= indexes
    assert [node["Node Type"] for node in scans if node["Node Type"] == "Seq Scan"] == []


def _plan(explained: Any) -> dict[str, Any]:
    import json

    plan: dict[str, Any] = (json.loads(explained) if isinstance(explained, str) else explained)[0]["Plan"]
    return plan
