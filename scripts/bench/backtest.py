"""Measures back-tests on 10,000 opportunities: `python -m scripts.bench.backtest [HOW_MANY]`.

Half a kilobyte of text each, all within the last 90 days, on a PostgreSQL of this measurement alone. Prints
the median and the slowest of each filter, in ms, as the page asks it.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from services.domain.matching import parse_filter
from services.runtime.clock import utc_now
from services.runtime.database import Connection, open_pool
from services.storage import backtest
from services.storage.migrate import migrate
from tests.rig.postgres import PostgresServer

_ROUNDS = 15
_SEED = """
INSERT INTO events (source, ce_id, type, subject, version, data, content_hash, deadline, accepted_at,
  accepted_by, planned_at, m_regions, m_cpv, m_themes, m_audience, m_procedure, m_value, m_currency, m_text)
SELECT 'bench', n::text, 'opportunity.published', 'opdracht-' || n, 1,
  jsonb_build_object('id', n, 'title', jsonb_build_object('nl', 'Opdracht ' || n), 'summary', t.text,
    'url', 'https://marketplace.example/' || n, 'buyer', jsonb_build_object('name', 'Stad ' || n % 300)),
  '', now() + interval '30 days', now() - n * interval '89 days' / $1, 'http', now(),
  ARRAY['BE', 'BE2', 'BE2' || 1 + n % 5], ARRAY['72', '722', '72' || 100 + n % 500],
  ARRAY['thema ' || n % 40, 'mobiliteit'], ARRAY['start-up'], 'open', n % 200 * 1000, 'EUR', t.text
FROM generate_series(1, $1::int) n, LATERAL (
  SELECT repeat(md5(n::text) || ' sensor voor de kade ' || n || ' ', 9) AS text) t"""
_FILTERS = {
    "everything": {},
    "one region and theme": {"regions": ["BE21"], "themes": ["thema 7"]},
    "three words": {"text": "sensor kade 4242"},
    "words that are nowhere": {"text": "olifant in de porseleinkast"},
    "everything named": {
        "regions": ["BE21", "BE22"],
        "cpv": ["72"],
        "themes": ["thema 7", "thema 8", "onbekend"],
        "value": {"min": 1000, "max": 150_000},
        "text": "sensor",
        "procedures": ["open"],
        "audience": ["start-up"],
    },
}


async def measure(dsn: str, many: int) -> None:
    """Seed, and time each filter as the page asks it: what it found, and what nobody ever had."""
    await migrate(dsn)
    async with open_pool(dsn, size=1) as pool, pool.acquire() as connection:
        await connection.execute(_SEED, many)
        await connection.execute("ANALYZE")
        print(f"{many} opportunities")
        for name, value in _FILTERS.items():
            times = [await _timed(connection, value) for _ in range(_ROUNDS)]
            print(f"  {name:24} median {statistics.median(times):6.1f} ms, slowest {max(times):6.1f} ms")


async def _timed(connection: Connection, value: object) -> float:
    wanted, since = parse_filter(value), utc_now() - timedelta(days=90)
    begun = time.perf_counter()
    await backtest.run(connection, wanted, since, shown=8)
    await backtest.unseen(connection, wanted)
    return (time.perf_counter() - begun) * 1000


def main() -> None:
    """Measure on a server that is thrown away."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        postgres = PostgresServer(Path(folder) / "pg")
        postgres.start()
        try:
            asyncio.run(measure(postgres.dsn, many))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
