"""`/portal/subscriptions`: the ways by which a subscriber is told: when, in which language, or no more."""

import re
from dataclasses import dataclass, field
from datetime import time
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from services.domain.matching import Filter, parse_filter
from services.runtime.database import Connection
from services.runtime.language import languages
from services.storage import portal, subscriptions
from services.subscribers.portal import words
from services.subscribers.portal.visits import Missing, SignedIn, Visit

_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
CADENCES = ("immediate", "daily", "weekly")


@dataclass(frozen=True, slots=True)
class Times:
    """When a subscription is told, as it was filled in; `errors` says what is wrong with it."""

    cadence: str
    quiet_from: str
    quiet_until: str
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def quiet(self) -> tuple[time, time] | None:
        """From when until when nothing is sent; None: never."""
        if not (self.quiet_from and self.quiet_until):
            return None
        return time.fromisoformat(self.quiet_from), time.fromisoformat(self.quiet_until)


def add(routes: APIRouter) -> None:
    """Add the list, and the page of one subscription with its buttons."""
    _list(routes)
    _one(routes)
    _pause_and_resume(routes)
    _stop(routes)


def _list(routes: APIRouter) -> None:
    @routes.get("/portal/subscriptions")
    async def list_subscriptions(visit: SignedIn) -> Response:
        rows = await visit.read(lambda connection: portal.subscriptions(connection, visit.subscriber_id))
        shown = [(row, words.subscription(row, visit.speech, visit.zone), filter_of(row)) for row in rows]
        return visit.page(
            "subscriptions",
            live=[item for item in shown if item[0]["status"] != "ended"],
            ended=[item for item in shown if item[0]["status"] == "ended"],
        )


def _one(routes: APIRouter) -> None:
    @routes.get("/portal/subscriptions/{subscription_id}")
    async def show_subscription(subscription_id: UUID, visit: SignedIn) -> Response:
        row = await visit.read(lambda connection: visit.subscription(connection, subscription_id))
        return _page(visit, row, times_of(row), row["language"])

    @routes.post("/portal/subscriptions/{subscription_id}")
    async def save_times(subscription_id: UUID, visit: SignedIn) -> Response:
        row = await visit.read(lambda connection: visit.subscription(connection, subscription_id))
        times = read_times(visit, row["channel"])
        language = visit.form.chosen("language", languages(), row["language"])
        if times.errors:
            return _page(visit, row, times, language, 422)
        await visit.change(lambda connection: _save(connection, visit, subscription_id, times, language))
        return visit.to(f"/portal/subscriptions/{subscription_id}?done=saved")


def _pause_and_resume(routes: APIRouter) -> None:
    @routes.post("/portal/subscriptions/{subscription_id}/pause")
    async def pause(subscription_id: UUID, visit: SignedIn) -> Response:
        await visit.change(lambda connection: _pause(connection, visit, subscription_id))
        return visit.to(f"/portal/subscriptions/{subscription_id}?done=paused")

    @routes.post("/portal/subscriptions/{subscription_id}/resume")
    async def resume(subscription_id: UUID, visit: SignedIn) -> Response:
        await visit.change(lambda connection: _resume(connection, visit, subscription_id))
        return visit.to(f"/portal/subscriptions/{subscription_id}?done=resumed")


def _stop(routes: APIRouter) -> None:
    @routes.get("/portal/subscriptions/{subscription_id}/stop")
    async def ask_to_stop(subscription_id: UUID, visit: SignedIn) -> Response:
        row = await visit.read(lambda connection: live(connection, visit, subscription_id))
        return visit.page("stop", subscription=row)

    @routes.post("/portal/subscriptions/{subscription_id}/stop")
    async def stop(subscription_id: UUID, visit: SignedIn) -> Response:
        async def end(connection: Connection) -> None:
            await live(connection, visit, subscription_id)
            await subscriptions.end(connection, subscription_id, "unsubscribed")

        await visit.change(end)
        return visit.to("/portal/subscriptions?done=stopped")


def filter_of(row: Any) -> Filter:
    """Read the filter of a subscription."""
    return parse_filter(row["filter"])


def times_of(row: Any) -> Times:
    """Spell when a subscription is told, as its form has it."""
    start, end = (f"{at:%H:%M}" if at else "" for at in (row["quiet_from"], row["quiet_until"]))
    return Times(row["cadence"], start, end)


def read_times(visit: Visit, channel: str) -> Times:
    """Read when a subscription wants to be told; only mails can wait for a digest."""
    form, said = visit.form, visit.speech
    cadence = form.chosen("cadence", CADENCES, "immediate") if channel == "email" else "immediate"
    if "quiet" not in form:
        return Times(cadence, "", "")
    start, end = form["quiet_from"], form["quiet_until"]
    errors = {
        name: said.gettext("Enter a time of day, such as 22:00.")
        for name in ("quiet_from", "quiet_until")
        if not _is_time(form[name])
    }
    if not errors and time.fromisoformat(start) == time.fromisoformat(end):
        errors["quiet_until"] = said.gettext("Choose another time than the one at which they begin.")
    return Times(cadence, start, end, errors)


async def live(connection: Connection, visit: Visit, subscription_id: UUID) -> portal.Row:
    """Find a subscription of this visitor that can still be changed; raise `Missing` for others."""
    row = await visit.subscription(connection, subscription_id)
    if row["status"] == "ended":
        raise Missing
    return row


async def set_times(connection: Connection, subscription_id: UUID, times: Times, reminders: bool) -> None:
    """Keep when a locked subscription is told, and whether it reminds of deadlines."""
    await subscriptions.set_cadence(connection, subscription_id, times.cadence)
    await subscriptions.set_quiet_hours(connection, subscription_id, times.quiet)
    await subscriptions.set_reminders(connection, subscription_id, reminders)


def _page(visit: Visit, row: portal.Row, times: Times, language: str, status: int = 200) -> Response:
    return visit.page(
        "subscription",
        status,
        subscription=row,
        standing=words.subscription(row, visit.speech, visit.zone),
        wanted=filter_of(row),
        times=times,
        chosen_language=language,
        reminders="reminders" in visit.form if times.errors else row["reminders"],
        errors=times.errors,
    )


def _is_time(text: str) -> bool:
    return _TIME.fullmatch(text) is not None


async def _save(
    connection: Connection, visit: Visit, subscription_id: UUID, times: Times, language: str
) -> None:
    await live(connection, visit, subscription_id)
    await subscriptions.lock(connection, subscription_id)
    await set_times(connection, subscription_id, times, "reminders" in visit.form)
    await subscriptions.set_language(connection, subscription_id, language)


async def _pause(connection: Connection, visit: Visit, subscription_id: UUID) -> None:
    await live(connection, visit, subscription_id)
    row = await subscriptions.lock(connection, subscription_id)
    if row and row["status"] == "active":
        await subscriptions.pause(connection, subscription_id)


async def _resume(connection: Connection, visit: Visit, subscription_id: UUID) -> None:
    await live(connection, visit, subscription_id)
    row = await subscriptions.lock(connection, subscription_id)
    if row and row["status"] in ("paused", "disabled"):
        await subscriptions.resume(connection, subscription_id)
