"""`omroeper apikey`, `deadletters` and `migrate`: what operators do now and then."""

from typing import Annotated, Any
from uuid import UUID

import typer

from services.cli.context import Data, Failed, Json, database, run, settings_for, show, table
from services.runtime.kafka import open_producer
from services.runtime.settings import Settings
from services.runtime.web.auth import SCOPES, new_key
from services.storage import api_keys, dead_letters
from services.storage import migrate as migrations
from services.storage.dead_letters import DeadLetter

apikey = typer.Typer(no_args_is_help=True, help="The keys of the API.")
deadletters = typer.Typer(no_args_is_help=True, help="Records from Kafka that could not be read.")
Scopes = Annotated[
    list[str] | None, typer.Option("--scope", help="What it may do; repeat it. " + ", ".join(SCOPES))
]


@apikey.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Whose it is, for the records.")],
    scope: Scopes = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Make an API key and print it, once; only its hash is kept."""
    scopes = scope or ["publish"]
    if unknown := set(scopes) - set(SCOPES):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: a scope is one of {', '.join(SCOPES)}")
    key = new_key()
    key_id = run(_add_key(data, name, key, scopes))
    if json_:
        return show({"id": key_id, "name": name, "scopes": scopes, "key": key})
    typer.echo(key)
    return typer.echo(f"Keep it now: it is not shown again. It may {', '.join(scopes)}.", err=True)


async def _add_key(data: str | None, name: str, key: str, scopes: list[str]) -> UUID:
    async with database(data) as (pool, _), pool.acquire() as connection:
        return await api_keys.add(connection, name, key, scopes)


@apikey.command("list")
def list_keys(data: Data = None, json_: Json = False) -> None:
    """List the keys, without what they are."""
    rows = run(_keys(data))
    columns = ("id", "name", "scopes", "created_at", "revoked_at")
    return show(rows) if json_ else table(columns, [[row[c] for c in columns] for row in rows])


async def _keys(data: str | None) -> list[dict[str, Any]]:
    async with database(data) as (pool, _), pool.acquire() as connection:
        return [dict(row) for row in await api_keys.list_all(connection)]


@apikey.command("revoke")
def revoke_key(key_id: UUID, data: Data = None, json_: Json = False) -> None:
    """End a key at once."""
    run(_revoke(data, key_id))
    if json_:
        return show({"id": key_id, "revoked": True})
    return typer.echo(f"revoked  {key_id}")


async def _revoke(data: str | None, key_id: UUID) -> None:
    async with database(data) as (pool, _), pool.acquire() as connection:
        if not await api_keys.revoke(connection, key_id):
            raise Failed(f"there is no live key {key_id}")


@deadletters.command("list")
def list_letters(
    requeued: Annotated[bool, typer.Option("--requeued", help="Also those put back already.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """List the records that could not be read, oldest first, with the reason."""
    rows = [_letter_json(letter) for letter in run(_letters(data, requeued))]
    columns = ("id", "topic", "partition", "offset", "received_at", "reason")
    return show(rows) if json_ else table(columns, [[row[c] for c in columns] for row in rows])


def _letter_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
        "received_at": letter.received_at,
        "requeued_at": letter.requeued_at,
        "key": letter.key and letter.key.decode("utf-8", "replace"),
        "value": letter.value and letter.value[:2000].decode("utf-8", "replace"),
    }


async def _letters(data: str | None, requeued: bool) -> list[DeadLetter]:
    async with database(data) as (pool, _), pool.acquire() as connection:
        return await dead_letters.page(connection, limit=10_000, requeued_too=requeued)


@deadletters.command("requeue")
def requeue(
    letter_ids: Annotated[list[UUID] | None, typer.Argument(help="Which; or --all.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every one not put back yet.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Put records back on their topic, as they were; after the cause was mended, they are read."""
    if bool(letter_ids) == all_:
        raise typer.BadParameter("give ids, or --all")
    done = run(_requeue(data, letter_ids or []))
    if json_:
        return show([{"id": one, "requeued": True} for one in done])
    return typer.echo(f"{len(done)} put back")


async def _requeue(data: str | None, wanted: list[UUID]) -> list[UUID]:
    async with database(data) as (pool, settings), pool.acquire() as connection:
        settings.need("kafka_bootstrap_servers")
        if wanted:
            found = [await dead_letters.get(connection, one) for one in wanted]
            if None in found:
                raise Failed(f"there is no dead letter {wanted[found.index(None)]}")
        else:
            found = list(await dead_letters.page(connection, limit=10_000))
        letters = [letter for letter in found if letter]
        async with open_producer(settings) as producer:
            for letter in letters:
                headers = [(name, value or b"") for name, value in letter.raw_headers()]
                place = {"key": letter.key, "headers": headers, "partition": letter.partition}
                await producer.send_and_wait(letter.topic, letter.value, **place)
                await dead_letters.mark_requeued(connection, letter.id)
    return [letter.id for letter in letters]


def migrate(data: Data = None, json_: Json = False) -> None:
    """Bring the database's schema up to date; safe to run again."""
    settings, running = settings_for(data)
    applied = run(_migrate(settings, running.database_url if running else ""))
    if json_:
        return show({"applied": applied})
    return typer.echo("\n".join(f"applied  {name}" for name in applied) or "nothing to do")


async def _migrate(settings: Settings, running_url: str) -> list[str]:
    dsn = settings.database_url or running_url
    if not dsn:
        raise Failed("OMROEPER_DATABASE_URL is not set; `omroeper up` migrates its own database by itself")
    return await migrations.migrate(dsn)
