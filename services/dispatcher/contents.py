"""Finds what each claimed delivery says: an event, and what it is news to; or all that a mailing carries.

Rules:
1. Events are read once per fan-out. Earlier versions and mailings are looked up only for what has them.
2. A mailing shows every opportunity once, as it stands now, with the reasons of all that brought it there.
3. What no longer stands drops out of a mailing; with nothing left it is called off.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.dispatcher.announcements import Announcements
from services.dispatcher.message import Announcement, Item, Mailing
from services.domain.event import EventType
from services.runtime.database import Connection
from services.storage import deliveries, mailings
from services.storage.deliveries import Claim

_WHOLE = (EventType.PUBLISHED, EventType.UPDATED)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Content:
    """What a delivery says; the fields are those of `Message`."""

    announcement: Announcement
    since: Announcement | None = None
    mailing: Mailing | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """One event for one subscription; of a mailing several."""

    event_id: UUID
    subscription_id: UUID
    match: Mapping[str, Any]


_Known = Mapping[UUID, Announcement]
_Since = Mapping[tuple[UUID, UUID], Announcement]


class Contents:
    """What was said last, by the announcements it is made of."""

    def __init__(self) -> None:
        self._announcements = Announcements()

    async def learn(self, connection: Connection, claims: Sequence[Claim]) -> list[tuple[Claim, Content]]:
        """Find what these claims say; a mailing of which nothing is left is called off, and left out."""
        parts = {c.id: [_Part(c.event_id, c.subscription_id, c.match)] for c in claims if c.event_id}
        carriers = [claim for claim in claims if claim.event_id is None]
        heads: Mapping[UUID, Any] = {}
        if carriers:
            parts |= await _carried(connection, carriers)
            heads = {row["carrier"]: row for row in await mailings.heads(connection, carriers)}
        every = [part for some in parts.values() for part in some]
        known = await self._announcements.learn(connection, {part.event_id for part in every})
        since = await self._since(connection, known, every)
        return [
            (claim, _content(parts[claim.id], heads.get(claim.id), known, since))
            for claim in claims
            if claim.id in parts
        ]

    async def _since(self, connection: Connection, known: _Known, parts: Iterable[_Part]) -> _Since:
        """Find which earlier version each receiver had; most events are first versions, and need no look."""
        asked = {(p.subscription_id, p.event_id) for p in parts if _may_be_news(known[p.event_id])}
        if not asked:
            return {}
        earlier = await deliveries.earlier(connection, list(asked))
        learned = await self._announcements.learn(connection, set(earlier.values()))
        return {pair: learned[event_id] for pair, event_id in earlier.items()}


def _may_be_news(announcement: Announcement) -> bool:
    return announcement.type is EventType.UPDATED or (
        announcement.type is EventType.PUBLISHED and announcement.version > 1
    )


async def _carried(connection: Connection, carriers: Sequence[Claim]) -> dict[UUID, list[_Part]]:
    """List what mailings carry, as it stands now; call off those that carry nothing any more."""
    gathered = await mailings.take_along(connection, carriers)
    newest = await mailings.newest(connection, [row["event_id"] for row in gathered])
    found: dict[UUID, list[_Part]] = {}
    for row in gathered:
        event_id = newest.get(row["event_id"], row["event_id"])
        part = _Part(event_id, row["subscription_id"], row["match"])
        found.setdefault(row["carrier"], []).append(part)
    for row in await mailings.reminded_of(connection, carriers):
        part = _Part(row["event_id"], row["subscription_id"], {})
        found.setdefault(row["carrier"], []).append(part)
    if empty := [carrier for carrier in carriers if carrier.id not in found]:
        await mailings.call_off(connection, empty)
    return found


def _content(parts: Sequence[_Part], head: Any, known: _Known, since: _Since) -> Content:
    if head is None:
        (part,) = parts
        return Content(known[part.event_id], since.get((part.subscription_id, part.event_id)))
    items = _items(parts, known, since)
    return Content(items[0].announcement, None, Mailing(head["kind"], head["timezone"], items))


def _items(parts: Sequence[_Part], known: _Known, since: _Since) -> tuple[Item, ...]:
    """Merge what is about the same thing, soonest deadline first."""
    same: dict[tuple[str, EventType | None], list[_Part]] = {}
    for part in parts:
        about = known[part.event_id]
        kind = None if about.type in _WHOLE else about.type
        same.setdefault((about.subject, kind), []).append(part)
    items = [_item(some, known, since) for some in same.values()]
    return tuple(sorted(items, key=lambda i: (i.announcement.deadline or _NEVER, i.announcement.subject)))


def _item(parts: Sequence[_Part], known: _Known, since: _Since) -> Item:
    had = [since[key] for p in parts if (key := (p.subscription_id, p.event_id)) in since]
    matches: list[Mapping[str, Any]] = []
    for part in parts:
        if part.match not in matches:
            matches.append(part.match)
    return Item(
        known[max(parts, key=lambda p: known[p.event_id].version).event_id],
        max(had, key=lambda a: a.version, default=None),
        tuple(matches),
    )
