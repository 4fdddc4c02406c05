"""Keeps the events that are being sent, so that a fan-out reads each of them once."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from uuid import UUID

from services.dispatcher.message import Announcement
from services.domain.event import EventType
from services.runtime.database import Connection
from services.storage import deliveries

_KEPT = 64


class Announcements:
    """The announcements used last, by event id."""

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, Announcement] = OrderedDict()

    async def learn(self, connection: Connection, event_ids: Collection[UUID]) -> Mapping[UUID, Announcement]:
        """Give these events, reading those that are not known yet."""
        missing = set(event_ids) - self._known.keys()
        if missing:
            for row in await deliveries.announcements(connection, list(missing)):
                self._known[row["id"]] = Announcement(**{**row, "type": EventType(row["type"])})
        for event_id in set(event_ids):
            self._known.move_to_end(event_id)
        learned = {event_id: self._known[event_id] for event_id in event_ids}
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return learned
