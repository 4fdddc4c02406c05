"""Keeps the events that are being sent, so that a fan-out reads each of them once."""

from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

from services.dispatcher.message import Announcement
from services.domain.event import EventType
from services.runtime.database import Connection
from services.storage import deliveries
from services.storage.deliveries import Claim

_KEPT = 64


class Announcements:
    """The announcements used last, by event id."""

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, Announcement] = OrderedDict()

    def __getitem__(self, event_id: UUID) -> Announcement:
        return self._known[event_id]

    async def learn(self, connection: Connection, claims: Sequence[Claim]) -> None:
        """Read the events of these claims that are not known yet."""
        wanted = {claim.event_id for claim in claims}
        missing = wanted - self._known.keys()
        if missing:
            for row in await deliveries.announcements(connection, list(missing)):
                self._known[row["id"]] = Announcement(**{**row, "type": EventType(row["type"])})
        for event_id in wanted:
            self._known.move_to_end(event_id)
        while len(self._known) > max(_KEPT, len(wanted)):
            self._known.popitem(last=False)
