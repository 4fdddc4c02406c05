"""`omroeper subscribers`: who hears of opportunities."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.context import Data, Json, database, run, show, table
from services.runtime.vault import Vault
from services.storage import subscribers as storage
from services.subscribers.importing import Report, import_rows, read_rows

subscribers = typer.Typer(no_args_is_help=True, help="The subscribers: incubators, accelerators, networks.")
_COLUMNS = ("slug", "name", "kind", "region", "language", "contact", "channel", "target", "filter")


@subscribers.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV, as examples/subscribers.csv.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Import subscribers and their subscriptions; the same file twice changes nothing."""
    try:
        text = file.read_text("utf-8-sig")
    except ValueError:
        raise typer.BadParameter(f"{file} is not UTF-8") from None
    _report(run(_import(data, text, dry_run)), dry_run=dry_run, json_=json_)


@subscribers.command("add")
def add(
    slug: str,
    name: str,
    kind: Annotated[str, typer.Option(help="incubator, accelerator, network or other.")] = "incubator",
    region: Annotated[str, typer.Option(help="NUTS code, such as BE234.")] = "",
    language: Annotated[str, typer.Option(help="nl or en.")] = "nl",
    contact: Annotated[str, typer.Option(help="A functional mailbox.")] = "",
    channel: Annotated[str, typer.Option(help="email or webhook; leave out for none yet.")] = "",
    target: Annotated[str, typer.Option(help="The address or https URL of the channel.")] = "",
    filter_: Annotated[str, typer.Option("--filter", help="What to hear of, as JSON.")] = "",
    data: Data = None,
    json_: Json = False,
) -> None:
    """Add one subscriber, with a subscription if a channel is given."""
    values = (slug, name, kind, region, language, contact, channel, target, filter_)
    _report(run(_import(data, _csv(values), dry_run=False)), dry_run=False, json_=json_)


def _csv(values: tuple[str, ...]) -> str:
    quoted = ('"' + value.replace('"', '""') + '"' for value in values)
    return ",".join(_COLUMNS) + "\n" + ",".join(quoted) + "\n"


async def _import(data: str | None, text: str, dry_run: bool) -> Report:
    async with database(data) as (pool, settings):
        rows = read_rows(text, settings.allowed_networks)
        return await import_rows(pool, Vault(settings), rows, dry_run=dry_run)


def _report(report: Report, *, dry_run: bool, json_: bool) -> None:
    if json_:
        secrets = [
            {"subscriber": s.slug, "id": s.subscription_id, "secret": s.secret} for s in report.secrets
        ]
        show({**asdict(report), "secrets": secrets, "dry_run": dry_run})
    else:
        _tell(report, dry_run)
    if report.problems:
        raise typer.Exit(1)


def _tell(report: Report, dry_run: bool) -> None:
    for problem in report.problems:
        column = f", {problem.column}" if problem.column else ""
        typer.echo(f"  line {problem.line}{column}: {problem.detail}", err=True)
    if report.problems:
        typer.echo("omroeper: nothing was imported; mend these lines first", err=True)
        return
    typer.echo(
        f"{report.added_subscribers} subscribers and {report.added_subscriptions} subscriptions "
        f"{'would be ' if dry_run else ''}added; {report.changed} changed, {report.unchanged} unchanged, "
        f"{report.unsubscribed} left alone because they unsubscribed"
    )
    for new in report.secrets:
        typer.echo(
            f"  signing secret of {new.slug}, shown once: {new.secret}  (subscription {new.subscription_id})"
        )


@subscribers.command("list")
def list_all(data: Data = None, json_: Json = False) -> None:
    """List the subscribers, with how many subscriptions each has."""
    rows = run(_list(data))
    if json_:
        return show(rows)
    columns = ("slug", "name", "kind", "region", "language", "subscription_count")
    return table(columns, [[row[name] for name in columns] for row in rows])


async def _list(data: str | None) -> list[dict[str, Any]]:
    async with database(data) as (pool, _), pool.acquire() as connection:
        rows = await storage.page(connection, text=None, kind=None, after=None, limit=100_000)
    return [dict(row) for row in rows]
