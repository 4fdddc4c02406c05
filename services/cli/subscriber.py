"""`omroeper subscribers show|export|erase|people`: one subscriber, or what is held of all."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from services.cli.context import Data, Failed, Json, database, pairs, run, show, table
from services.cli.subscribers import subscribers
from services.domain.subscriber import PersonIn, parse_person
from services.runtime.database import Connection
from services.runtime.vault import Vault
from services.storage import erasing, exporting
from services.subscribers import people_api
from services.subscribers.exporting import as_csv, as_json, as_list
from services.subscribers.registry import in_full
from services.subscribers.transaction import transact

__all__ = ["people", "subscribers"]

people = typer.Typer(no_args_is_help=True, help="Who may sign in for a subscriber, and is told of trouble.")
subscribers.add_typer(people, name="people")
Slug = Annotated[str, typer.Argument(help="The subscriber, by its slug.")]
_ABOUT = (
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
_T = TypeVar("_T")


@subscribers.command("show")
def show_one(slug: Slug, data: Data = None, json_: Json = False) -> None:
    """Show a subscriber with its people and subscriptions."""
    found = run(_with(data, lambda connection: in_full(connection, slug))).model_dump(by_alias=True)
    if json_:
        return show(found)
    pairs({**{name: found[name] for name in _ABOUT}, "reminder_days": found["reminder_days"] or None})
    _list_people(found["people"])
    columns = ("id", "channel", "target", "cadence", "status", "status_reason")
    return table(columns, [[row[name] for name in columns] for row in found["subscriptions"]])


@subscribers.command("export")
def export(
    file: Annotated[Path | None, typer.Argument(dir_okay=False, help="Where to; leave out to print.")] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Write what is active as CSV that import takes back unchanged; with --json all subscriptions."""
    text, left_out = run(_with(data, lambda connection: _exported(connection, json_=json_)))
    if file is None:
        typer.echo(text, nl=False)
    else:
        file.write_text(text, "utf-8", newline="")
    if left_out:
        typer.echo(
            f"omroeper: {left_out} subscriptions are not in it (pending, paused, disabled, or a second one "
            "for a target); --json has them",
            err=True,
        )


async def _exported(connection: Connection, *, json_: bool) -> tuple[str, int]:
    if json_:
        return as_json(await as_list(connection)) + "\n", 0
    return await as_csv(connection), await exporting.left_out(connection)


@subscribers.command("erase")
def erase(
    slug: Slug,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; it cannot be undone.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """End a subscriber and forget who it was (GDPR article 17); the ledger's counts and times stay."""
    if not yes:
        raise typer.BadParameter(f"this forgets all about {slug} for good; add --yes if that is meant")
    run(_erase(data, slug))
    if json_:
        return show({"slug": slug, "erased": True})
    return typer.echo(f"{slug} is erased")


async def _erase(data: str | None, slug: str) -> None:
    async with database(data) as (pool, settings):
        vault = Vault(settings)
        if not await transact(pool, lambda connection: erasing.erase(connection, vault, slug)):
            raise Failed(f"there is no subscriber {slug!r}, and never was one that was erased")


@people.command("add")
def add_person(
    slug: Slug,
    name: Annotated[str, typer.Argument(help="As they are called.")],
    email: Annotated[str, typer.Argument(help="Where they are mailed, and sign in with.")],
    data: Data = None,
    json_: Json = False,
) -> None:
    """Add a person."""
    new = run(_parsed({"name": name, "email": email}))
    added = run(_add(data, slug, new))
    told = "a letter tells them so" if added["invited"] else "no letter: they had one lately, or want none"
    return show(added) if json_ else typer.echo(f"{added['email']} may sign in for {slug}; {told}")


@people.command("list")
def list_people(slug: Slug, data: Data = None, json_: Json = False) -> None:
    """List the people of a subscriber."""
    found = run(_with(data, lambda connection: in_full(connection, slug))).model_dump()["people"]
    return show(found) if json_ else _list_people(found)


@people.command("remove")
def remove_person(
    slug: Slug,
    person: Annotated[str, typer.Argument(help="The address or id of the person.")],
    data: Data = None,
    json_: Json = False,
) -> None:
    """Remove a person, who can sign in no more."""
    run(_with(data, lambda connection: _remove(connection, slug, person)))
    return (
        show({"slug": slug, "removed": person}) if json_ else typer.echo(f"{person} is removed from {slug}")
    )


async def _add(data: str | None, slug: str, new: PersonIn) -> dict[str, Any]:
    async with database(data) as (pool, settings):
        vault = Vault(settings)
        return await transact(pool, lambda connection: people_api.add(connection, vault, slug, new))


async def _remove(connection: Connection, slug: str, person: str) -> None:
    found = (await in_full(connection, slug)).people
    ids: list[UUID] = [one.id for one in found if person.lower() in (str(one.id), one.email)]
    if not ids or not await people_api.remove(connection, slug, ids[0]):
        raise Failed(f"{slug} has nobody with this address or id; `omroeper subscribers people list {slug}`")


async def _parsed(value: dict[str, Any]) -> Any:
    return parse_person(value)


async def _with(data: str | None, work: Callable[[Connection], Awaitable[_T]]) -> _T:
    async with database(data) as (pool, _):
        return await transact(pool, work)


def _list_people(found: list[dict[str, Any]]) -> None:
    table(("id", "name", "email"), [[row["id"], row["name"], row["email"]] for row in found])
