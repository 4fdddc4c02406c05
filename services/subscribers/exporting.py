"""Exports: everybody as CSV that import takes back, and all about one subscriber as JSON."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Response

from services.runtime.clock import utc_now
from services.runtime.database import Connection, Pool
from services.runtime.web.auth import Guard
from services.storage import exporting, people, subscribers, subscriptions
from services.subscribers import answers, csv_cells
from services.subscribers.csv_rows import COLUMNS
from services.subscribers.known import shown

_AS_IT_IS = (
    "slug",
    "name",
    "kind",
    "region",
    "language",
    "contact",
    "timezone",
    "digest_hour",
    "digest_weekday",
)
_EVERYBODY = 1_000_000


def router(pool: Pool, guard: Guard) -> APIRouter:
    """Make the route by which a subscriber gets what is held of them."""
    routes = APIRouter(tags=["subscribers"])

    @routes.get(
        "/v1/subscribers/{slug}/export",
        dependencies=[guard.needs("registry")],
        responses=answers.problems(404),
        response_model=dict[str, Any],
    )
    async def export_subscriber(slug: str) -> Response:
        """Give all that is held of a subscriber, but no secrets (GDPR articles 15 and 20)."""
        async with (
            pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            found = await everything(connection, slug)
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{found["subscriber"]["slug"]}.json"',
        }
        return Response(as_json(found), media_type="application/json", headers=headers)

    return routes


async def everything(connection: Connection, slug: str) -> dict[str, Any]:
    """Read all that is held of a subscriber; raise `Refused` when there is none."""
    row = await shown(connection, slug)
    held = await exporting.everything(connection, row["id"])
    return {"exported_at": utc_now(), "subscriber": dict(row), **held}


def as_json(value: Any) -> str:
    """Write JSON for people to read, with instants in ISO 8601."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=_plain)


async def as_csv(connection: Connection) -> str:
    """Write the active subscriptions as import reads them."""
    return write_csv(await exporting.lines(connection))


def write_csv(lines: Iterable[Any]) -> str:
    """Write lines as import reads them, and as no spreadsheet runs them (RFC 4180)."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for line in lines:
        cells = _cells(line)
        writer.writerow([csv_cells.written(cells.get(column, "")) for column in COLUMNS])
    return file.getvalue()


async def as_list(connection: Connection) -> list[dict[str, Any]]:
    """List all subscribers with their people and subscriptions, whatever their status."""
    rows = await subscribers.page(connection, text=None, kind=None, after=None, limit=_EVERYBODY)
    return [
        answers.in_full(
            row,
            await people.of_subscriber(connection, row["id"]),
            await subscriptions.of_subscriber(connection, row["id"]),
        ).model_dump(mode="json", by_alias=True)
        for row in rows
    ]


def _cells(line: Any) -> dict[str, str]:
    cells = {name: "" if line[name] is None else str(line[name]) for name in _AS_IT_IS}
    cells["reminder_days"] = csv_cells.write_days(line["reminder_days"])
    cells["people"] = csv_cells.write_people([(name, address) for name, address in line["people"]])
    if line["channel"] is None:
        return cells
    language = line["subscription_language"]
    return {
        **cells,
        "channel": line["channel"],
        "target": line["target"],
        "filter": json.dumps(line["filter"], ensure_ascii=False, separators=(",", ":")),
        "cadence": line["cadence"],
        "quiet_hours": csv_cells.write_quiet_hours(line["quiet_from"], line["quiet_until"]),
        "reminders": csv_cells.write_yes_or_no(line["reminders"]),
        "subscription_language": "" if language == line["language"] else language,
    }


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
