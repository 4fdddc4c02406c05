"""Measures, prints the numbers as they come, and writes docs/performance.md.

`python -m scripts.bench [--quick] [--only NAME …] [--out FILE]`; Ctrl-C stops it with all it started.
"""

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from scripts.bench import feeds, latency, memory, rates, report, seed
from scripts.bench.machine import machine
from scripts.bench.parts import ROOT, Parts, open_parts
from scripts.bench.report import Line, Run
from services.runtime.clock import utc_now


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    deliveries: int
    mails: int
    rounds: int
    seconds: float
    subscriptions: int
    opportunities: int


#: How often a page of the feeds is asked for.
_PAGES = 100
FULL = Size(deliveries=20_000, mails=4_000, rounds=3, seconds=20, subscriptions=100_000, opportunities=10_000)
QUICK = Size(deliveries=4_000, mails=2_000, rounds=1, seconds=3, subscriptions=5_000, opportunities=1_000)


async def _webhooks(parts: Parts, size: Size) -> Sequence[Line]:
    found = await rates.webhook_rates(parts, deliveries=size.deliveries, rounds=size.rounds)
    return report.rate_lines("webhooks", "aiohttp", found, aim=0.6)


async def _mails(parts: Parts, size: Size) -> Sequence[Line]:
    found = await rates.mail_rates(parts, deliveries=size.mails, rounds=size.rounds)
    return report.rate_lines("mails", "aiosmtplib", found, aim=None)


async def _apart(parts: Parts, size: Size) -> Sequence[Line]:
    return report.latency_lines("services apart", await latency.apart(parts, seconds=size.seconds))


async def _embedded(parts: Parts, size: Size) -> Sequence[Line]:
    return report.latency_lines("`omroeper up`", await latency.embedded(parts, seconds=size.seconds))


async def _isolation(parts: Parts, size: Size) -> Sequence[Line]:
    found = await latency.isolation(parts, seconds=size.seconds, rounds=size.rounds)
    return report.isolation_lines(found)


async def _memory(parts: Parts, size: Size) -> Sequence[Line]:
    return report.memory_lines(await memory.fan_out(parts, subscriptions=size.subscriptions))


async def _feeds(parts: Parts, size: Size) -> Sequence[Line]:
    found = await feeds.pages(parts, opportunities=size.opportunities, rounds=_PAGES)
    return report.page_lines(found, size.opportunities)


MEASUREMENTS: Mapping[str, Callable[[Parts, Size], Awaitable[Sequence[Line]]]] = {
    "webhooks": _webhooks,
    "mails": _mails,
    "latency": _apart,
    "up": _embedded,
    "isolation": _isolation,
    "memory": _memory,
    "feeds": _feeds,
}


async def _measure(names: Sequence[str], size: Size, command: str) -> Run:
    facts = machine()
    lines: list[Line] = []
    async with open_parts() as parts:
        facts |= {"PostgreSQL": await seed.server(parts.server_dsn), "broker": parts.broker}
        print("\n".join(f"{name}: {fact}" for name, fact in facts.items()), flush=True)
        for name in names:
            for line in await MEASUREMENTS[name](parts, size):
                lines.append(line)
                print(f"{line.what:<52}  {line.result}  (aim: {line.aim})", flush=True)
    return Run(f"{utc_now():%Y-%m-%d %H:%M} UTC", command, facts, lines)


async def _until_signal(names: Sequence[str], size: Size, command: str) -> Run:
    task = asyncio.create_task(_measure(names, size, command))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def main() -> int:
    """Measure what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute; prints only")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, help="these measurements; prints only")
    parser.add_argument("--out", type=Path, help="where to write the page (default: docs/performance.md)")
    asked = parser.parse_args()
    command = "make bench" + (" (with --quick)" if asked.quick else "")
    try:
        run = uvloop.run(
            _until_signal(asked.only or list(MEASUREMENTS), QUICK if asked.quick else FULL, command)
        )
    except asyncio.CancelledError:
        print("stopped; nothing was written")
        return 130
    print(f"\n{report.table(run.lines)}")
    whole = not asked.quick and not asked.only
    if out := asked.out or (ROOT / "docs" / "performance.md" if whole else None):
        out.write_text(report.page(run), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
