"""`omroeper events` and `omroeper deliveries`: who was told, and how each delivery stands."""

from typing import Annotated, Any
from uuid import UUID

import typer

from services.cli.context import Data, Failed, Json, database, pairs, run, show, table
from services.dispatcher import replaying
from services.dispatcher.replaying import ReplayRequest
from services.domain.delivery import State
from services.domain.passing_on import hops
from services.publisher.ledger_api import event_json, ledger_json
from services.storage import ledger
from services.storage.ledger import Which, delivery_json

events = typer.Typer(no_args_is_help=True, help="The events, and the ledger of each.")
deliveries = typer.Typer(no_args_is_help=True, help="The deliveries, and their attempts.")
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")]
Event = Annotated[UUID | None, typer.Option(help="Only of this event.")]
Subscriber = Annotated[str | None, typer.Option(help="Only to this subscriber (slug).")]
Channel = Annotated[str | None, typer.Option(help="Only on this channel.")]
InState = Annotated[State | None, typer.Option(help="Only in this state.")]


@events.command("list")
def list_events(limit: Limit = 50, data: Data = None, json_: Json = False) -> None:
    """List the events, newest first."""
    rows = run(_events(data, limit))
    if json_:
        return show(rows)
    columns = ("id", "type", "subject", "version", "matched", "accepted_at", "title")
    return table(columns, [[row[name] for name in columns] for row in rows])


async def _events(data: str | None, limit: int) -> list[dict[str, Any]]:
    async with database(data) as (pool, _), pool.acquire() as connection:
        rows = await ledger.events_page(connection, before=None, limit=limit)
        matched = await ledger.matched(connection, [row["id"] for row in rows])
    return [{**event_json(row), "matched": matched.get(row["id"], 0)} for row in rows]


@events.command("show")
def show_event(event_id: UUID, limit: Limit = 10_000, data: Data = None, json_: Json = False) -> None:
    """Show the ledger of an event: who was owed it, and how each delivery stands."""
    found = run(_ledger(data, event_id, limit))
    if json_:
        return show(found)
    rows = found.pop("deliveries")
    pairs({k: v for k, v in found.items() if k not in ("channels", "next", "passed_on", "proposals")})
    typer.echo(f"\n{hops(found)}")
    typer.echo("(passed on and proposals: of the opportunity, in all its versions)\n")
    return _table(rows)


async def _ledger(data: str | None, event_id: UUID, limit: int) -> dict[str, Any]:
    async with database(data) as (pool, _), pool.acquire() as connection:
        found = await ledger_json(connection, event_id, cursor=None, limit=limit)
    if found is None:
        raise Failed(f"there is no event {event_id}")
    return found


@deliveries.command("list")
def list_deliveries(
    event: Event = None,
    subscriber: Subscriber = None,
    channel: Channel = None,
    state: InState = None,
    limit: Limit = 100,
    data: Data = None,
    json_: Json = False,
) -> None:
    """List deliveries, newest first."""
    rows = run(_deliveries(data, Which(event, subscriber, channel, _text(state)), limit))
    return show(rows) if json_ else _table(rows)


async def _deliveries(data: str | None, which: Which, limit: int) -> list[dict[str, Any]]:
    async with database(data) as (pool, _), pool.acquire() as connection:
        rows = await ledger.deliveries_page(connection, which, cursor=None, limit=limit)
    return [delivery_json(row) for row in rows]


def _table(rows: list[dict[str, Any]]) -> None:
    columns = ("id", "subscriber", "channel", "state", "attempts", "next_attempt_at", "detail", "reason")
    table(columns, [[row[name] for name in columns] for row in rows])


@deliveries.command("show")
def show_delivery(delivery_id: UUID, data: Data = None, json_: Json = False) -> None:
    """Show a delivery, with its attempts, and what came back."""
    found = run(_delivery(data, delivery_id))
    if json_:
        return show(found)
    attempts, receipts = found.pop("attempts"), found.pop("receipts")
    pairs(found)
    for receipt in receipts:
        typer.echo(f"came back  {receipt['kind']} {receipt['status'] or ''} {receipt['at']}")
    typer.echo()
    columns = (
        "number",
        "started_at",
        "duration_ms",
        "outcome",
        "code",
        "error",
        "next_attempt_at",
        "excerpt",
    )
    return table(columns, [[attempt[name] for name in columns] for attempt in attempts])


async def _delivery(data: str | None, delivery_id: UUID) -> dict[str, Any]:
    async with database(data) as (pool, _), pool.acquire() as connection:
        found = await ledger.delivery_in_full(connection, delivery_id)
    if found is None:
        raise Failed(f"there is no delivery {delivery_id}")
    return found


@deliveries.command("retry")
def retry(delivery_ids: list[UUID], data: Data = None, json_: Json = False) -> None:
    """Try waiting deliveries now; send final ones once more, as new deliveries."""
    answers = run(_retry(data, delivery_ids))
    if json_:
        return show(answers)
    for answer in answers:
        of = f", once more after {answer['replay_of']}" if answer["replay_of"] else ""
        typer.echo(f"due now  {answer['id']}{of}")
    return None


async def _retry(data: str | None, delivery_ids: list[UUID]) -> list[dict[str, Any]]:
    async with database(data) as (pool, _), pool.acquire() as connection, connection.transaction():
        return [await replaying.retry(connection, one) for one in delivery_ids]


def replay(
    event: Event = None,
    subscriber: Subscriber = None,
    channel: Channel = None,
    state: InState = None,
    since: Annotated[str | None, typer.Option(help="Planned since (2027-01-12T12:00:00+01:00).")] = None,
    until: Annotated[str | None, typer.Option(help="Planned before.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Send final deliveries once more: those that meet all that is given."""
    fields = {
        "event": event,
        "subscriber": subscriber,
        "channel": channel,
        "state": state,
        "since": since,
        "until": until,
        "dry_run": dry_run,
    }
    try:
        request = ReplayRequest.model_validate(fields)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    answer = run(_replay(data, request))
    if json_:
        return show(answer)
    verb = "would be sent once more" if dry_run else "are sent once more"
    typer.echo(f"{answer['replayed']} of {answer['matched']} deliveries {verb}")
    for skipped in answer["skipped"].values():
        typer.echo(f"  {skipped['count']} are not: {skipped['why']}")
    return None


async def _replay(data: str | None, request: ReplayRequest) -> dict[str, Any]:
    async with database(data) as (pool, _), pool.acquire() as connection, connection.transaction():
        return await replaying.replay(connection, request)


def _text(state: State | None) -> str | None:
    return None if state is None else str(state)
