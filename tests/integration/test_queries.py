"""Every named query is used, can be prepared, and the hot one keeps its indexes."""

import json
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


OWED = ("deliveries_first", "deliveries_again", "deliveries_owed", "deliveries_expiring")
CROWD = """
WITH one AS (SELECT * FROM subscriptions LIMIT 1),
crowd AS (
  INSERT INTO subscriptions (subscriber_id, channel, target, destination, unsubscribe_hash, unsubscribe_seal)
  SELECT one.subscriber_id, one.channel, one.target, 'host-' || n % 50, decode(md5(n::text), 'hex'), ''
  FROM one, generate_series(1, 500) n
  RETURNING id, subscriber_id, channel, destination
),
numbered AS (SELECT *, row_number() OVER (ORDER BY random()) AS place FROM crowd)
INSERT INTO deliveries (event_id, subscription_id, subscriber_id, channel, destination, match, state, turn,
  attempts, settled_at, next_attempt_at, replay, replay_of)
SELECT d.event_id, s.id, s.subscriber_id, s.channel, s.destination, d.match,
  CASE WHEN n <= $1 THEN 'sent' WHEN n <= $1 + $2 THEN 'pending' ELSE 'retrying' END::delivery_state,
  now() + n * interval '1 millisecond', 1, CASE WHEN n <= $1 THEN now() END,
  CASE WHEN n > $1 + $2 THEN now() + random() * interval '1 hour' END, n, d.id
FROM deliveries d CROSS JOIN generate_series(1, $1::int + $2::int + 100) n
JOIN numbered s ON s.place = 1 + n % 500"""


@pytest.mark.parametrize("analysed", [True, False], ids=["with statistics", "before any"])
@pytest.mark.parametrize("pending", [100, 10_000], ids=["few wait", "many wait"])
async def test_claiming_looks_only_at_what_is_due(
    pool: Pool, database_url: str, pending: int, analysed: bool
) -> None:
    books = Books(pool, settings_for(database_url))
    await books.owe("http://127.0.0.1:9/")
    await pool.execute(CROWD, 20_000, pending)
    if analysed:
        await pool.execute("ANALYZE")
    claim = Queries(SERVICES / "storage/deliveries.sql").by_name["claim"]
    async with pool.acquire() as connection, connection.transaction():
        explained = await connection.fetchval(
            f"EXPLAIN (FORMAT JSON) {claim}", "webhook", 100, 50, 60.0, ["host-7"], [0], 8, [], [], 1
        )
    nodes = _nodes(json.loads(explained)[0]["Plan"])
    scanned = [node for node in nodes if node.get("Relation Name") == "deliveries"]
    assert "Seq Scan" not in {node["Node Type"] for node in scanned}
    indexes = {node["Index Name"] for node in nodes if node.get("Index Name", "").startswith("deliveries_")}
    assert indexes <= {"deliveries_pkey", *OWED}
    if pending > 1_000:  # where few wait, one index of what is owed is as good as another
        assert {"deliveries_first", "deliveries_again"} <= indexes
