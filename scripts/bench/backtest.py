"""How long back-tests take among many opportunities of the last 90 days, with short and long descriptions."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from scripts.bench import seed
from scripts.bench.load import percentile
from scripts.bench.parts import Parts
from services.domain.matching import parse_filter
from services.runtime.clock import utc_now
from services.runtime.database import Connection, open_pool
from services.storage import backtest

_WARM_UP = 3
#: How much text an opportunity has, in kB, and of how many sentences that is made.
_SENTENCES: Mapping[str, int] = {"0.5": 7, "5": 66}
#: $1 how many, $2 sentences of about 75 characters
_SEED = """
INSERT INTO events (source, ce_id, type, subject, version, data, content_hash, deadline, accepted_at,
  accepted_by, planned_at, m_regions, m_cpv, m_themes, m_audience, m_procedure, m_value, m_currency, m_text)
SELECT 'bench', n::text, 'opportunity.published', 'opdracht-' || n, 1,
  jsonb_build_object('id', n, 'title', jsonb_build_object('nl', 'Opdracht ' || n), 'description', t.text,
    'url', 'https://marketplace.example/' || n, 'buyer', jsonb_build_object('name', 'Stad ' || n % 300)),
  '', now() + interval '30 days', now() - n * interval '89 days' / $1, 'http', now(),
  ARRAY['BE', 'BE2', 'BE2' || 1 + n % 5], ARRAY['72', '722', '72' || 100 + n % 500],
  ARRAY['thema ' || n % 40, 'mobiliteit'], ARRAY['start-up'], 'open', n % 200 * 1000, 'EUR', t.text
FROM generate_series(1, $1::int) n, LATERAL (
  SELECT string_agg(md5(n::text || i) || ' een sensor voor de kade, en nog wat ' || n || '. ', '') AS text
  FROM generate_series(1, $2::int) i) t"""
_FILTERS: Mapping[str, Mapping[str, Any]] = {
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


@dataclass(frozen=True)
class Tried:
    """A filter that was tried: on texts of how many kB, and the percentiles in ms."""

    name: str
    kilobytes: str
    p50: float
    p95: float


async def back_tests(parts: Parts, *, opportunities: int, rounds: int) -> list[Tried]:
    """Try each filter so many times, as the page asks it; one with the themes that it suggests, too."""
    found: list[Tried] = []
    for kilobytes, sentences in _SENTENCES.items():
        async with parts.database() as dsn, open_pool(dsn, size=1) as pool, pool.acquire() as connection:
            await connection.execute(_SEED, opportunities, sentences)
            await seed.analyze(connection)
            for name, wanted in _FILTERS.items():
                found.append(await _measure(connection, (name, kilobytes), wanted, rounds))
            opened = ("three words, and themes to choose from", kilobytes)
            wanted = _FILTERS["three words"]
            found.append(await _measure(connection, opened, wanted, rounds, suggested=True))
    return found


async def _measure(
    connection: Connection,
    name: tuple[str, str],
    wanted: Mapping[str, Any],
    rounds: int,
    *,
    suggested: bool = False,
) -> Tried:
    times = [await _timed(connection, wanted, suggested=suggested) for _ in range(_WARM_UP + rounds)]
    taken = times[_WARM_UP:]
    return Tried(*name, percentile(taken, 0.5), percentile(taken, 0.95))


async def _timed(connection: Connection, value: Mapping[str, Any], *, suggested: bool) -> float:
    wanted, since = parse_filter(dict(value)), utc_now() - timedelta(days=90)
    begun = time.perf_counter()
    await backtest.run(connection, wanted, since, shown=8)
    await backtest.unseen(connection, wanted)
    if suggested:
        await backtest.known_themes(connection, since, most=16)
    return (time.perf_counter() - begun) * 1000
