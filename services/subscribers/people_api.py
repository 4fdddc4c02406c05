"""`/v1/subscribers/{slug}/people`: who may sign in for a subscriber, and is told of trouble."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request

from services.domain.subscriber import PersonIn, parse_person
from services.runtime.database import Connection, Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.runtime.web.auth import Guard
from services.runtime.web.problems import Refused
from services.storage import invitations, people
from services.subscribers import answers
from services.subscribers.bodies import described, read_json
from services.subscribers.known import held, shown
from services.subscribers.transaction import transact

#: More would be a mailing list.
MOST_PEOPLE = 50


def router(pool: Pool, vault: Vault, guard: Guard, settings: Settings) -> APIRouter:
    """Make the routes of people."""
    routes = APIRouter(prefix="/v1/subscribers/{slug}/people", tags=["subscribers"])
    reading, writing = [guard.needs("read", "registry", "operate")], [guard.needs("registry")]

    @routes.get("", dependencies=reading, responses=answers.problems(404))
    async def list_people(slug: str) -> answers.PersonList:
        """List the people of a subscriber, in the order in which they came."""
        async with pool.acquire() as connection:
            subscriber = await shown(connection, slug)
            rows = await people.of_subscriber(connection, subscriber["id"])
        return answers.PersonList(items=[answers.Person(**dict(row)) for row in rows])

    @routes.post(
        "",
        status_code=201,
        dependencies=writing,
        openapi_extra=described(PersonIn),
        responses=answers.problems(404, 409, 413, 422),
    )
    async def add_person(slug: str, request: Request) -> answers.NewPerson:
        """Add a person, who may sign in from then on, and have a letter tell them so.

        `invited` says whether one is sent: an address has one a month at most, a subscriber sends ten a day.
        """
        new = parse_person(await read_json(request, settings.body_limit_bytes))
        row = await transact(pool, lambda connection: add(connection, vault, slug, new))
        return answers.NewPerson(**row)

    @routes.delete(
        "/{person_id}", status_code=204, dependencies=writing, responses=answers.problems(404, 422)
    )
    async def remove_person(slug: str, person_id: UUID) -> None:
        """Remove a person."""
        if not await transact(pool, lambda connection: remove(connection, slug, person_id)):
            raise Refused(404, "This subscriber has no person with this id.")

    return routes


async def add(connection: Connection, vault: Vault, slug: str, new: PersonIn) -> dict[str, Any]:
    """Add a person, and give them as they are kept, with whether they are `invited` by a letter.

    Raises `Refused`. Runs in the caller's transaction.
    """
    subscriber = await held(connection, slug)
    rows = await people.of_subscriber(connection, subscriber["id"])
    if len(rows) >= MOST_PEOPLE:
        raise Refused(409, f"A subscriber has {MOST_PEOPLE} people at most; remove one first.")
    person_id = await people.add(connection, subscriber["id"], new.name, new.email, new.language)
    if person_id is None:
        raise Refused(409, "This address is one of the people already.")
    rows = await people.of_subscriber(connection, subscriber["id"])
    added = next(dict(row) for row in rows if row["id"] == person_id)
    invited = await invitations.invite(connection, vault, subscriber["id"], added["email"], None)
    return {**added, "invited": invited}


async def remove(connection: Connection, slug: str, person_id: UUID) -> bool:
    """Remove a person; False when there is none. Raises `Refused` when there is no such subscriber."""
    subscriber = await held(connection, slug)
    return await people.remove(connection, subscriber["id"], person_id)
