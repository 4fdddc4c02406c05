"""`/portal/people`: who may sign in for a subscriber, and is told when something needs them.

Rules:
1. Nobody locks everybody out: the last way in stays.
2. Who is removed is signed out at once: a session holds only while its address may sign in.
"""

from uuid import UUID

from fastapi import APIRouter, Response

from services.runtime.database import Connection
from services.storage import invitations, people
from services.subscribers.portal.fields import read_address, read_name
from services.subscribers.portal.visits import Missing, SignedIn, Visit

MOST = 50


def add(routes: APIRouter) -> None:
    """Add the list of people, and what changes it."""

    @routes.get("/portal/people")
    async def list_people(visit: SignedIn) -> Response:
        return await _page(visit)

    @routes.post("/portal/people")
    async def add_person(visit: SignedIn) -> Response:
        name, email = read_name(visit.form["name"]), read_address(visit.form["email"])
        errors, done = _wrong(visit, name, email), ""
        if name and email:
            errors, done = await visit.change(lambda connection: _add(connection, visit, name, email))
        if errors:
            return await _page(visit, 422, errors)
        return visit.to(f"/portal/people?done={done}")

    @routes.get("/portal/people/{person_id}/remove")
    async def ask_to_remove(person_id: UUID, visit: SignedIn) -> Response:
        person = await visit.read(lambda connection: _person(connection, visit, person_id))
        return visit.page("person_remove", person=person)

    @routes.post("/portal/people/{person_id}/remove")
    async def remove(person_id: UUID, visit: SignedIn) -> Response:
        removed = await visit.change(lambda connection: _remove(connection, visit, person_id))
        return visit.to(f"/portal/people?done={'person-removed' if removed else 'person-last'}")


async def _page(visit: Visit, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    rows = await visit.read(lambda connection: people.of_subscriber(connection, visit.subscriber_id))
    values = {name: visit.form[name][:254] for name in ("name", "email")} if errors else {}
    return visit.page("people", status, people=rows, values=values, errors=errors or {})


def _wrong(visit: Visit, name: str | None, email: str | None) -> dict[str, str]:
    errors, said = {}, visit.speech
    if not name:
        errors["name"] = said.gettext("Enter a name of at most 200 characters.")
    if not email:
        errors["email"] = said.gettext("Enter an e-mail address, such as info@incubator.example.")
    return errors


async def _add(connection: Connection, visit: Visit, name: str, email: str) -> tuple[dict[str, str], str]:
    """Add somebody, and have a letter tell them; give the sentence that says why not, or what was done."""
    said, subscriber_id = visit.speech, visit.subscriber_id
    if len(await people.lock(connection, subscriber_id)) >= MOST:
        return {"email": said.gettext("There are enough people already; remove somebody first.")}, ""
    if await people.add(connection, subscriber_id, name, email) is None:
        return {"email": said.gettext("This address may sign in already.")}, ""
    told = await invitations.invite(connection, visit.site.vault, subscriber_id, email, visit.me["email"])
    return {}, "person" if told else "person-untold"


async def _person(connection: Connection, visit: Visit, person_id: UUID) -> people.Row:
    for row in await people.of_subscriber(connection, visit.subscriber_id):
        if row["id"] == person_id:
            return row
    raise Missing


async def _remove(connection: Connection, visit: Visit, person_id: UUID) -> bool:
    """Remove somebody; False when nobody else could sign in any more."""
    person = await _person(connection, visit, person_id)
    others = [row for row in await people.lock(connection, visit.subscriber_id) if row["id"] != person_id]
    contact = (visit.me["contact"] or "").lower()
    if not others and contact in ("", person["email"]):
        return False
    return await people.remove(connection, visit.subscriber_id, person_id)
