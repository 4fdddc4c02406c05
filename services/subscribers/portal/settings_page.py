"""`/portal/settings`: what holds for the whole organisation: contact, language, clock, digests, reminders."""

from typing import Any
from zoneinfo import available_timezones

import asyncpg
from fastapi import APIRouter, Response

from services.domain.problems import Invalid
from services.domain.speech import later
from services.domain.subscriber import REMINDER_DAYS, parse_subscriber_patch
from services.runtime.database import Connection
from services.runtime.language import languages
from services.storage import people, subscribers
from services.subscribers.portal.visits import SignedIn, Visit

#: What to do about a field that the registry refuses.
_WRONG = {
    "name": later("Enter a name of at most 200 characters."),
    "contact": later("Enter an e-mail address, such as info@incubator.example."),
    "language": later("Choose from the list."),
    "timezone": later("Enter a time zone by its name, such as Europe/Brussels."),
    "digest_hour": later("Choose from the list."),
    "digest_weekday": later("Choose from the list."),
    "reminder_days": later("Choose from the list."),
}


def add(routes: APIRouter) -> None:
    """Add the form."""

    @routes.get("/portal/settings")
    async def show_settings(visit: SignedIn) -> Response:
        return _page(visit, _kept(visit))

    @routes.post("/portal/settings")
    async def save_settings(visit: SignedIn) -> Response:
        given = _given(visit)
        try:
            errors = await visit.change(lambda connection: _save(connection, visit, given))
        except asyncpg.DataError:
            # a zone that this server's PostgreSQL does not know
            errors = {"timezone": visit.speech.gettext(_WRONG["timezone"])}
        if errors:
            return _page(visit, {**_kept(visit), **given}, 422, errors)
        return visit.to("/portal/settings?done=saved")


def _kept(visit: Visit) -> dict[str, Any]:
    return {name: visit.me[name] for name in _WRONG}


def _given(visit: Visit) -> dict[str, Any]:
    form = visit.form
    return {
        "name": form["name"],
        "contact": form["contact"] or None,
        "language": form["language"],
        "timezone": form["timezone"],
        "digest_hour": _number(form["digest_hour"]),
        "digest_weekday": _number(form["digest_weekday"]),
        "reminder_days": [_number(day) for day in form.all("reminder_days")],
    }


def _number(text: str) -> int:
    """Read a small number; what is none is one that is refused."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else -1


async def _save(connection: Connection, visit: Visit, given: dict[str, Any]) -> dict[str, str]:
    """Keep the settings; give what is wrong with them, by field, or nothing."""
    said = visit.speech
    try:
        patch = parse_subscriber_patch(given)
    except Invalid as error:
        names = [problem.pointer.split("/")[1] for problem in error.problems]
        return {name: said.gettext(_WRONG[name]) for name in names if name in _WRONG}
    if patch.language not in languages():
        return {"language": said.gettext(_WRONG["language"])}
    if patch.contact is None and not await people.lock(connection, visit.subscriber_id):
        return {
            "contact": said.gettext(
                "Keep a contact, or add a colleague first: somebody must be able to sign in."
            )
        }
    await subscribers.change(connection, visit.me["slug"], patch.given())
    return {}


def _page(
    visit: Visit, values: dict[str, Any], status: int = 200, errors: dict[str, str] | None = None
) -> Response:
    return visit.page(
        "settings",
        status,
        values=values,
        zones=sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")),
        reminder_days=REMINDER_DAYS,
        errors=errors or {},
    )
