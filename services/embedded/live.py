"""Shows deliveries going out: a table that lives in a terminal, plain lines elsewhere."""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from services.domain.delivery import FINAL, State
from services.domain.matching import title_of
from services.domain.standing import standing
from services.embedded.up import Machine
from services.runtime.clock import utc_now
from services.runtime.database import UNAVAILABLE
from services.runtime.language import SOURCE, speech
from services.runtime.waiting import until
from services.storage import ledger
from services.storage.ledger import Which

_EVERY_SECONDS = 0.25
#: What waits for these may do so for a week; nobody watches it that long.
_PATIENT = {"digest", "quiet_hours"}
_STYLES = {State.SENT: "green", State.RETRYING: "yellow", State.SENDING: "cyan", State.PENDING: "dim"}


class Live:
    """Shows the deliveries of a few events."""

    def __init__(self, on: Machine) -> None:
        self._on = on
        self._console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
        self._told: dict[UUID, tuple[str, int]] = {}

    def say(self, sentence: str) -> None:
        """Print a sentence."""
        self._console.print(sentence)

    async def run(self, events: Sequence[UUID], stop: asyncio.Event) -> None:
        """Show these events until everything is settled; then say where to look, and wait for `stop`."""
        if events:
            await (self._table(events, stop) if self._console.is_terminal else self._lines(events, stop))
        if not stop.is_set():
            self._where(events)
            await stop.wait()

    async def _table(self, events: Sequence[UUID], stop: asyncio.Event) -> None:
        with RichLive(console=self._console, auto_refresh=False) as live:
            settled = False
            while not settled and not stop.is_set():
                rows, heads = await self._read(events)
                live.update(self._picture(rows, heads), refresh=True)
                settled = _settled(rows, heads)
                await until(stop, _EVERY_SECONDS)

    async def _lines(self, events: Sequence[UUID], stop: asyncio.Event) -> None:
        while not stop.is_set():
            rows, heads = await self._read(events)
            for row in rows:
                self._line(row, heads[row["event_id"]]["accepted_at"])
            if _settled(rows, heads):
                break
            await until(stop, _EVERY_SECONDS)
        if not stop.is_set():
            self._console.print(_summary(rows))

    def _line(self, row: Any, accepted_at: datetime) -> None:
        seen = (row["state"], row["attempts"])
        if self._told.get(row["id"]) == seen or row["state"] in (State.PENDING, State.SENDING):
            return
        self._told[row["id"]] = seen
        self._console.print(
            f"{row['subscriber']:<28} {row['channel']:<8} {row['state']:<9} attempt {row['attempts']}  "
            f"{_latency(row, accepted_at):>9}  {_note(row)}"
        )

    async def _read(self, events: Sequence[UUID]) -> tuple[list[Any], dict[UUID, Any]]:
        try:
            async with self._on.pool.acquire() as connection:
                heads = {event: await ledger.event(connection, event) for event in events}
                rows = [row for event in events for row in await self._deliveries(connection, event)]
        except UNAVAILABLE:
            return [], {}
        return rows, heads

    async def _deliveries(self, connection: Any, event: UUID) -> list[Any]:
        which = Which(event=event)
        return await ledger.deliveries_page(connection, which, cursor=None, limit=500, oldest_first=True)

    def _picture(self, rows: list[Any], heads: dict[UUID, Any]) -> Group:
        table = _table()
        fits = max(self._console.height - 6, 5)
        for row in sorted(rows, key=_interest)[:fits]:
            state = Text(row["state"], style=_STYLES.get(State(row["state"]), "red"))
            latency = _latency(row, heads[row["event_id"]]["accepted_at"])
            table.add_row(row["subscriber"], row["channel"], state, str(row["attempts"]), latency, _note(row))
        titles = [Text(title_of(head["data"], "nl"), style="bold") for head in heads.values() if head]
        more = [Text(f"… and {len(rows) - fits} more", style="dim")] if len(rows) > fits else []
        return Group(*titles, table, *more, Text(_summary(rows), style="bold"))

    def _where(self, events: Sequence[UUID]) -> None:
        url = f"http://127.0.0.1:{self._on.settings.port}"
        ledger_path = f"/demo/ledger/{events[-1]}" if events else "/"
        self._console.print(
            f"\n  Ledger    {url}{ledger_path}\n  Mails     {url}/demo/mails\n  Webhooks  {url}/demo/webhooks"
            f"\n  Portal    {url}/portal   (sign in as a contact; the link is among the mails)"
            f"\n  API docs  {url}/docs   (the key is in {self._on.settings.data_dir}/api_key)"
            f"\n\nPublish one more: {sys.argv[0]} publish FILE --data {self._on.settings.data_dir}"
            "\nCtrl-C stops everything; what is owed is kept.",
            soft_wrap=True,
        )


def _table() -> Table:
    """Make the empty table; its columns keep their width while it lives."""
    table = Table(box=None, pad_edge=False)
    for name, width in (("who", 24), ("channel", 8), ("state", 10), ("attempts", 8), ("latency", 8)):
        table.add_column(name, min_width=width)
    table.add_column("note", min_width=24)
    return table


def _settled(rows: list[Any], heads: dict[UUID, Any]) -> bool:
    planned = bool(heads) and all(head["planned_at"] for head in heads.values())
    return planned and all(row["state"] in FINAL or row["reason"] in _PATIENT for row in rows)


def _interest(row: Any) -> tuple[bool, float]:
    """Order by what one wants to see: what is still owed, then what was settled last."""
    settled = row["settled_at"]
    return (row["state"] in FINAL, -settled.timestamp() if settled else 0.0)


def _latency(row: Any, accepted_at: datetime) -> str:
    if not row["settled_at"]:
        return ""
    seconds = (row["settled_at"] - accepted_at).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _note(row: Any) -> str:
    if row["reason"] in _PATIENT:
        return standing(row["reason"], speech(SOURCE))
    if row["state"] == State.RETRYING and row["next_attempt_at"]:
        wait = (row["next_attempt_at"] - utc_now()).total_seconds()
        return f"{row['reason']}, again in {max(wait, 0):.0f} s"
    return row["reason"] or ""


def _summary(rows: list[Any]) -> str:
    counts = Counter(row["state"] for row in rows)
    return f"{len(rows)} deliveries: " + ", ".join(f"{n} {state}" for state, n in counts.most_common())
