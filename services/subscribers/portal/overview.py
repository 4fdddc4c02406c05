"""`/portal`: what was sent lately, why, by which way, and how it stands; and what needs the reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from services.domain import matching
from services.domain.event import EventType
from services.domain.reason import explain, one_line
from services.domain.speech import Speech
from services.storage import portal
from services.subscribers.portal import words
from services.subscribers.portal.visits import SignedIn, Visit

_ON_A_PAGE = 40
_WHOLE = (EventType.PUBLISHED, EventType.UPDATED)


@dataclass(frozen=True, slots=True)
class Way:
    """One way by which an opportunity was told, and how that stands."""

    row: portal.Row
    standing: words.Standing


@dataclass(frozen=True, slots=True)
class Title:
    """The title of an opportunity, and the language it is in."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Told:
    """An event, every way by which this subscriber was told of it, and why."""

    event: portal.Row
    title: Title
    whys: list[str]
    ways: list[Way]
    passing_url: str


def add(routes: APIRouter) -> None:
    """Add the page that visitors see first."""

    @routes.get("/portal")
    async def overview(visit: SignedIn, before: UUID | None = None) -> Response:
        async with visit.site.pool.acquire() as connection:
            rows = await portal.lately(connection, visit.subscriber_id, before=before, limit=_ON_A_PAGE)
            subscriptions = await portal.subscriptions(connection, visit.subscriber_id)
        return visit.page(
            "overview",
            told=told(visit, rows),
            needs=needs(subscriptions),
            live=[row for row in subscriptions if row["status"] != "ended"],
            older=rows[-1]["id"] if len(rows) == _ON_A_PAGE else None,
            before=before,
        )


def told(visit: Visit, rows: Sequence[portal.Row]) -> list[Told]:
    """Gather deliveries by event, in the order in which each event comes first."""
    found: dict[UUID, Told] = {}
    for row in rows:
        entry = found.setdefault(row["event_id"], _told(visit, row))
        entry.ways.append(Way(row, words.delivery(row, visit.speech, visit.zone)))
        why = explain(row["match"], visit.speech, told_before=row["type"] not in _WHOLE)
        if why not in entry.whys:
            entry.whys.append(why)
    return list(found.values())


def needs(subscriptions: Sequence[portal.Row]) -> list[tuple[str, Any]]:
    """Name what needs the reader: a kind, and the subscription it is about (None: all of them)."""
    found: list[tuple[str, Any]] = []
    for row in subscriptions:
        if row["status"] == "pending":
            found.append(("pending", row))
        elif row["status"] == "disabled":
            kind = row["status_reason"] if row["status_reason"] in ("bounced", "complained") else "disabled"
            found.append((kind, row))
    if not any(row["status"] in ("active", "pending", "disabled") for row in subscriptions):
        found.append(("none", None))
    return found


def title_of(row: Any, said: Speech) -> Title:
    """Give the title of an opportunity, in the reader's language where it has one, and its language."""
    texts = row["title"] or {}
    text = matching.title_of({"id": row["subject"], "title": texts}, said.code)
    language = next((code for code, known in texts.items() if known == text), said.code)
    return Title(one_line(text), language)


def _told(visit: Visit, row: portal.Row) -> Told:
    return Told(
        event=row,
        title=title_of(row, visit.speech),
        whys=[],
        ways=[],
        passing_url=visit.site.passing_link(visit.subscriber_id, row["event_id"]),
    )
