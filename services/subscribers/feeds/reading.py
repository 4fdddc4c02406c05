"""Reads the feeds from the database: who reads, up to where, and what."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from services.runtime.database import Connection, Pool
from services.runtime.passing_links import PassingLink
from services.runtime.vault import token_hash
from services.runtime.web.problems import Refused
from services.storage import feeds
from services.storage.feeds import Head
from services.subscribers.feeds.entry import EPOCH, Page, entry_of

PAGE = 50
#: What a calendar holds: from a month ago on, and at most so many deadlines.
CALENDAR_PAST = timedelta(days=30)
CALENDAR_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: the public, or a subscriber with the filters of its active subscriptions."""

    subscriber_id: UUID | None = None
    filters: tuple[str, ...] = ()

    @property
    def wants(self) -> UUID | None:
        """Whose filters hold; None when everything is wanted."""
        return self.subscriber_id if self.filters else None


@dataclass(frozen=True, slots=True)
class Reading:
    """One moment of the database: whatever is read in it fits together."""

    connection: Connection
    reader: Reader
    head: Head
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """Where a feed is, which page of it is asked for, and what writes its reader's links."""

    home_url: str
    feed_url: str
    passing_link: PassingLink
    before: int | None = None
    after: int | None = None

    def at(self, name: str, position: int) -> str:
        """Give the address of another page."""
        return f"{self.feed_url}?{name}={position}"

    @property
    def url(self) -> str:
        """The address of this page."""
        if self.after is not None:
            return self.at("after", self.after)
        return self.feed_url if self.before is None else self.at("before", self.before)


@asynccontextmanager
async def reading(pool: Pool, token: str | None) -> AsyncIterator[Reading]:
    """Append what is new, and look at one moment of the stream; an unknown token is refused (404)."""
    async with pool.acquire() as connection:
        asked_at = await feeds.append_new(connection)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            reader = await _reader(connection, token)
            yield Reading(connection, reader, await feeds.head(connection), asked_at)


async def read_page(reading: Reading, place: Place) -> Page:
    """Read a page: newest change first, or from a cursor on, oldest change first."""
    if place.after is None:
        return await _newest(reading, place)
    rows = await feeds.following(reading.connection, reading.reader.wants, after=place.after, limit=PAGE + 1)
    more = len(rows) > PAGE
    cursor = rows[PAGE - 1]["position"] if more else reading.head.position
    return _page(
        reading, place, rows[:PAGE], next_url=place.at("after", cursor) if more else None, cursor=cursor
    )


async def read_calendar(reading: Reading, place: Place, today: datetime) -> Page:
    """Read the deadlines from a month before today on."""
    rows = await feeds.deadlines(
        reading.connection, reading.reader.wants, since=today - CALENDAR_PAST, limit=CALENDAR_LIMIT
    )
    return _page(reading, place, rows)


async def _newest(reading: Reading, place: Place) -> Page:
    wants = reading.reader.wants
    rows = await feeds.newest(reading.connection, wants, before=place.before, limit=PAGE + 1)
    next_url = place.at("before", rows[PAGE - 1]["position"]) if len(rows) > PAGE else None
    if place.before is None:
        return _page(reading, place, rows[:PAGE], next_url=next_url, cursor=reading.head.position)
    newer = await feeds.following(reading.connection, wants, after=place.before - 1, limit=PAGE + 1)
    previous = place.at("before", newer[PAGE]["position"]) if len(newer) > PAGE else place.feed_url
    return _page(reading, place, rows[:PAGE], next_url=next_url, previous_url=previous)


def _page(
    reading: Reading,
    place: Place,
    rows: list[feeds.Row],
    *,
    next_url: str | None = None,
    previous_url: str | None = None,
    cursor: int | None = None,
) -> Page:
    subscriber_id = reading.reader.subscriber_id
    entries = [
        entry_of(row, place.passing_link(subscriber_id, row["event_id"]) if subscriber_id else "")
        for row in rows
    ]
    whose = subscriber_id or "public"
    return Page(
        # of the reader and not of the token, so that a new token does not make a new feed
        feed_id=uuid5(NAMESPACE_URL, f"{place.home_url}/feeds\n{whose}"),
        home_url=place.home_url,
        feed_url=place.feed_url,
        url=place.url,
        entries=entries,
        updated_at=max((entry.changed_at for entry in entries), default=reading.head.appended_at or EPOCH),
        next_url=next_url,
        previous_url=previous_url,
        cursor=cursor,
        resume_url=None if cursor is None else place.at("after", cursor),
    )


async def _reader(connection: Connection, token: str | None) -> Reader:
    if token is None:
        return Reader()
    subscriber_id = await feeds.subscriber(connection, token_hash(token))
    if subscriber_id is None:
        raise Refused(404, "There is no such feed.")
    return Reader(subscriber_id, tuple(await feeds.filters(connection, subscriber_id)))
