"""`/portal/subscriptions/{id}/filter`: what somebody hears of, and what that would have been lately.

The back-test answers while the form is edited, and by a button where there are no scripts.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from services.domain.advice import Flaw, Rate, flaws, rate
from services.domain.matching import Filter
from services.runtime.clock import utc_now
from services.runtime.database import Connection
from services.storage import backtest, subscriptions
from services.storage.backtest import Found
from services.subscribers.portal import filter_form
from services.subscribers.portal.filter_form import FilterForm
from services.subscribers.portal.overview import Title, title_of
from services.subscribers.portal.subscriptions import filter_of, live
from services.subscribers.portal.visits import SignedIn, Visit

PERIOD = timedelta(days=90)
_SHOWN, _SUGGESTED = 8, 16
_REMEMBERED = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Tried:
    """What a filter would have found: `days` looked at, how often that is, and what cannot work."""

    found: Found
    titles: list[Title]
    days: int
    rate: Rate | None
    flaws: dict[Flaw, tuple[str, ...]]
    unseen: list[str]


class Suggestions:
    """The themes to choose from, looked up once a minute: a new one may wait as long to be suggested."""

    def __init__(self) -> None:
        self._themes: list[str] = []
        self._until: datetime | None = None

    async def themes(self, connection: Connection, now: datetime) -> list[str]:
        """List the themes most used lately."""
        if self._until is None or now >= self._until:
            self._themes = await backtest.known_themes(connection, now - PERIOD, most=_SUGGESTED)
            self._until = now + _REMEMBERED
        return self._themes


def add(routes: APIRouter) -> None:
    """Add the form, and the back-test beside it."""
    suggestions = Suggestions()

    @routes.get("/portal/subscriptions/{subscription_id}/filter")
    async def show_filter(subscription_id: UUID, visit: SignedIn) -> Response:
        async with visit.site.pool.acquire() as connection:
            row = await live(connection, visit, subscription_id)
            form = filter_form.shown(filter_of(row), visit.speech)
            themes = await suggestions.themes(connection, utc_now())
            return await _page(connection, visit, row, form, themes)

    @routes.post("/portal/subscriptions/{subscription_id}/filter")
    async def save_filter(subscription_id: UUID, visit: SignedIn) -> Response:
        form = filter_form.read(visit.form)
        wanted, errors = filter_form.wanted(form, visit.speech)
        if wanted is None or "try" in visit.form:
            async with visit.site.pool.acquire() as connection:
                row = await live(connection, visit, subscription_id)
                themes = await suggestions.themes(connection, utc_now())
                return await _page(connection, visit, row, form, themes, status=422 if errors else 200)
        await visit.change(lambda connection: _save(connection, visit, subscription_id, wanted))
        return visit.to(f"/portal/subscriptions/{subscription_id}?done=filter")

    @routes.post("/portal/subscriptions/{subscription_id}/filter/try")
    async def try_filter(subscription_id: UUID, visit: SignedIn) -> Response:
        wanted, errors = filter_form.wanted(filter_form.read(visit.form), visit.speech)
        async with visit.site.pool.acquire() as connection:
            await live(connection, visit, subscription_id)
            tried = await attempt(connection, visit, wanted) if wanted else None
        return visit.page("backtest", tried=tried, errors=errors)


async def attempt(connection: Connection, visit: Visit, wanted: Filter) -> Tried:
    """Try a filter on the opportunities of the last months."""
    now = utc_now()
    found = await backtest.run(connection, wanted, now - PERIOD, shown=_SHOWN)
    over = now - found.began if found.began else timedelta()
    unseen = await backtest.unseen(connection, wanted) if found.began else {}
    return Tried(
        found=found,
        titles=[title_of(row, visit.speech) for row in found.newest],
        days=min(PERIOD.days, over.days + 1),
        rate=rate(found.count, over),
        flaws=flaws(wanted),
        unseen=[value for values in unseen.values() for value in values],
    )


async def _page(
    connection: Connection, visit: Visit, row: Any, form: FilterForm, themes: list[str], *, status: int = 200
) -> Response:
    wanted, errors = filter_form.wanted(form, visit.speech)
    return visit.page(
        "filter",
        status,
        subscription=row,
        form=form,
        tried=await attempt(connection, visit, wanted) if wanted else None,
        options=filter_form.options(form, themes),
        errors=errors,
    )


async def _save(connection: Connection, visit: Visit, subscription_id: UUID, wanted: Filter) -> None:
    await live(connection, visit, subscription_id)
    await subscriptions.lock(connection, subscription_id)
    await subscriptions.set_filter(connection, subscription_id, wanted)
