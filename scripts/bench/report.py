"""The numbers as tables, and docs/performance.md: a section for each kind of measurement.

A run writes the sections that it measured, and leaves the others as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.bench.backtest import Tried
from scripts.bench.feeds import Page
from scripts.bench.latency import Isolation, Latency
from scripts.bench.memory import Memory
from scripts.bench.rates import Rate, Rates


@dataclass(frozen=True)
class Line:
    """One measurement: what was measured, what came of it, and what was aimed at."""

    what: str
    result: str
    aim: str = "—"
    met: bool | None = None
    missed: str = ""


@dataclass(frozen=True)
class Run:
    """What a run found, by section, and on what."""

    date: str
    command: str
    machine: Mapping[str, str]
    sections: Mapping[str, Sequence[Line]]


def _list(values: Sequence[float], form: str = ",.0f") -> str:
    return ", ".join(format(value, form) for value in values)


def _rates(rates: Sequence[Rate]) -> str:
    cpu = _list([rate.cpu_ms for rate in rates], ".2f")
    return f"{_list([rate.per_second for rate in rates])} /s; {cpu} ms of processor each"


def rate_lines(name: str, library: str, rates: Rates, aim: float | None) -> list[Line]:
    """Write down rates; without an aim, they are only told."""
    aimed = "—" if aim is None else f"≥ {aim:.0%}"
    met = None if aim is None else rates.ratio >= aim
    missed = f"One dispatcher reaches {rates.ratio:.0%} of what bare {library} does; the aim is {aimed}."
    return [
        Line(f"{name}, bare {library}", _rates(rates.bare)),
        Line(f"{name}, one dispatcher", _rates(rates.ours)),
        Line(f"{name}, dispatcher against bare", f"{rates.ratio:.0%}", aimed, met, missed),
    ]


def latency_lines(name: str, found: Latency) -> list[Line]:
    """Write down a latency."""
    met = found.p50 < 25 and found.p99 < 100
    numbers = f"p50 {found.p50:.0f}, p95 {found.p95:.0f}, p99 {found.p99:.0f} ms"
    missed = f"Latency, {name}, is {numbers}: slower than aimed at."
    aim = "p50 < 25, p99 < 100 ms"
    return [Line(f"latency, {name}", f"{numbers} ({found.count} events)", aim, met, missed)]


def isolation_lines(found: Isolation) -> list[Line]:
    """Write down what hanging receivers do to the others."""
    return [
        Line("p99 of 27 receivers, alone", f"{_list(found.without)} ms"),
        Line("p99 of 27 receivers, beside 3 that hang", f"{_list(found.beside)} ms"),
        Line(
            "p99 beside hanging ones against alone",
            f"{found.ratio:.2f}",
            "≤ 1.2",
            found.ratio <= 1.2,
            f"Beside hanging receivers the p99 of the others is {found.ratio:.2f} times as long.",
        ),
    ]


def memory_lines(found: Memory) -> list[Line]:
    """Write down memory and planning."""
    name = f"one event to {found.subscriptions:,} webhooks"
    flat = found.growth < 10
    numbers = (
        f"at most {found.most:.0f} MB (before: {found.before:.0f}), {found.growth:+.0f} MB in the second half"
    )
    return [
        Line(f"{name}: accepted to planned", f"{found.planning_seconds:.1f} s"),
        Line(f"{name}: sent", f"{found.per_second:,.0f} /s"),
        Line(
            f"{name}: dispatcher's memory",
            numbers,
            "< 200 MB, flat",
            found.most < 200 and flat,
            f"The dispatcher's memory was {numbers}.",
        ),
    ]


def page_lines(found: Sequence[Page], opportunities: int) -> list[Line]:
    """Write down how long pages of the feeds take."""
    return [_page_line(page, f"feeds of {opportunities:,}: {page.name}") for page in found]


def _page_line(found: Page, what: str) -> Line:
    numbers = f"p50 {found.p50:.1f}, p95 {found.p95:.1f} ms"
    missed = f"{what[:1].upper()}{what[1:]}: {numbers}, slower than aimed at."
    whole = f"{numbers}; {found.cpu_ms:.1f} ms of processor each ({found.kilobytes:,.0f} kB)"
    return Line(what, whole, "p95 < 50 ms", found.p95 < 50, missed)


def tried_lines(found: Sequence[Tried], opportunities: int) -> list[Line]:
    """Write down how long back-tests take."""
    return [_tried_line(tried, f"{opportunities:,} of {tried.kilobytes} kB: {tried.name}") for tried in found]


def _tried_line(found: Tried, what: str) -> Line:
    numbers = f"p50 {found.p50:.1f}, p95 {found.p95:.1f} ms"
    missed = f"A back-test of {what}: {numbers}, slower than aimed at."
    return Line(what, numbers, "p95 < 200 ms", found.p95 < 200, missed)


def table(lines: Sequence[Line]) -> str:
    """Write the numbers as a Markdown table."""
    rows = [f"| {x.what} | {x.result} | {x.aim} | {_verdict(x)} |" for x in lines]
    return "\n".join(["| what | result | aim | met |", "|---|---|---|---|", *rows])


def _verdict(line: Line) -> str:
    return {None: "", True: "yes", False: "**no**"}[line.met]


DELIVERIES, FEEDS, BACK_TESTS = TITLES = ("Deliveries", "Feeds", "Back-tests")
_LOAD = "load before"
_HOW = """\
## How to read it

**Rates** depend on the machine and on what else it does, so each is measured beside what the bare
library does in the same run, in turns, with the same body, headers, concurrency and receiver; the ratio
is the number that travels. Bare aiohttp posts and reads the answer, nothing more. The dispatcher claims,
signs, posts, records every attempt with fsync, logs a line for it and tells Kafka of it; on a machine with
few cores it also shares them with PostgreSQL and Kafka. The rate is of one process; more of them share
the work. Processor time is that of the sending process alone, and says what a delivery costs where the
rate says what this machine was free to do.

**Latency** counts from the start of the request to `POST /v1/events` until the webhook is at its
receiver: accepted in PostgreSQL, relayed to Kafka, planned, claimed, sent. It is measured at 50 events a
second, of which one subscription in ten matches each. It is short hops between five processes, so other
work on the same cores lengthens it many times over: look at the load above.

**Isolation** is the p99 of the receivers that answer, 5 events a second to each, without and with others
beside them that take a request and never answer.

**Feeds** are pages of 50 opportunities (a calendar has 500 deadlines, a page of the event stream 250
members), asked for one after another by one reader that keeps its connection, from the request to the last
byte. The reader sends no ETag. Processor time is that of the service, without the
database: where other work shares the cores, it is the number that travels. The middle and last pages tell
whether a feed gets slower with its length; who is interested in nothing that there is, whether a filter
does: everything is then looked through. Calendars and pages of the stream are kept by the service once they
are written, 16 MB of them: "after a change" something was published just before, and "for the first time"
nobody has read that page yet, so that these are written anew.

**Back-tests** are what the filter page asks of the database: what was found, what nobody ever had, and, where
it says so, the themes to choose from. Descriptions are of half a kilobyte and of five.

`python -m scripts.bench --only feeds backtests` measures these two alone.

Every part is real and its own process: PostgreSQL with fsync, the broker, the publisher, the dispatcher,
the receivers (127.0.0.2 and on), and the load. Processes run with the default settings.
"""


def page(run: Run, before: str = "") -> str:
    """Write docs/performance.md; sections that were not measured stay as they were before."""
    machine = "\n".join(f"- {name}: {fact}" for name, fact in run.machine.items() if name != _LOAD)
    sections = _sections(before) | {title: _section(run, title) for title in run.sections}
    return f"""\
# Performance

Measured on this machine; run `make bench` to see what yours does.

{machine}

{"".join(sections[title] for title in TITLES if title in sections)}{_HOW}"""


def _section(run: Run, title: str) -> str:
    lines = run.sections[title]
    missed = "\n".join(f"- {line.missed}" for line in lines if line.met is False)
    return f"""\
## {title}

Written by `{run.command}` on {run.date}; load before: {run.machine[_LOAD]}.

{table(lines)}

{missed or "All aims were met in this run."}

"""


def _sections(page: str) -> dict[str, str]:
    """Cut a page in its sections, by title."""
    parts = (part.partition("\n") for part in page.split("\n## ")[1:])
    return {title: f"## {title}\n{text}\n" for title, _, text in parts}
