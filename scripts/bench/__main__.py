"""Measures, prints the numbers as they come, and writes docs/performance.md.

`python -m scripts.bench [--quick] [--only NAME …] [--out FILE]`; sections of the page that are not measured
stay as they were. Ctrl-C stops it with all it started.
"""

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from scripts.bench import backtest, feeds, latency, memory, rates, report, seed
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


_KEPT = ROOT / "docs" / "performance.md"
#: How often a page of the feeds is asked for.
_PAGES = 100
_TRIES = 40
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


async def _backtests(parts: Parts, size: Size) -> Sequence[Line]:
    found = await backtest.back_tests(parts, opportunities=size.opportunities, rounds=_TRIES)
    return report.tried_lines(found, size.opportunities)


_Measure = Callable[[Parts, Size], Awaitable[Sequence[Line]]]
MEASUREMENTS: Mapping[str, tuple[str, _Measure]] = {
    "webhooks": (report.DELIVERIES, _webhooks),
    "mails": (report.DELIVERIES, _mails),
    "latency": (report.DELIVERIES, _apart),
    "up": (report.DELIVERIES, _embedded),
    "isolation": (report.DELIVERIES, _isolation),
    "memory": (report.DELIVERIES, _memory),
    "feeds": (report.FEEDS, _feeds),
    "backtests": (report.BACK_TESTS, _backtests),
}


async def _measure(names: Sequence[str], size: Size, command: str) -> Run:
    facts = machine()
    sections: dict[str, list[Line]] = {}
    async with open_parts() as parts:
        facts |= {"PostgreSQL": await seed.server(parts.server_dsn), "broker": parts.broker}
        print("\n".join(f"{name}: {fact}" for name, fact in facts.items()), flush=True)
        for name in names:
            title, measure = MEASUREMENTS[name]
            for line in await measure(parts, size):
                sections.setdefault(title, []).append(line)
                print(f"{line.what:<52}  {line.result}  (aim: {line.aim})", flush=True)
    return Run(f"{utc_now():%Y-%m-%d %H:%M} UTC", command, facts, sections)


async def _until_signal(names: Sequence[str], size: Size, command: str) -> Run:
    task = asyncio.create_task(_measure(names, size, command))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def _whole(names: Sequence[str]) -> bool:
    """Tell whether no section is measured in part."""
    titles = {MEASUREMENTS[name][0] for name in names}
    return all(name in names for name, (title, _) in MEASUREMENTS.items() if title in titles)


def main() -> int:
    """Measure what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute; prints only")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, help="these measurements")
    where = "where to write the page (default: docs/performance.md, when whole sections are measured)"
    parser.add_argument("--out", type=Path, help=where)
    asked = parser.parse_args()
    names = asked.only or list(MEASUREMENTS)
    command = " ".join(["python -m scripts.bench --only", *names]) if asked.only else "make bench"
    try:
        run = uvloop.run(_until_signal(names, QUICK if asked.quick else FULL, command))
    except asyncio.CancelledError:
        print("stopped; nothing was written")
        return 130
    for lines in run.sections.values():
        print(f"\n{report.table(lines)}")
    if out := asked.out or (_KEPT if _whole(names) and not asked.quick else None):
        out.write_text(report.page(run, out.read_text("utf-8") if out.exists() else ""), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
