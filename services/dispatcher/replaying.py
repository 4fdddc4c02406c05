"""Sends deliveries once more at an operator's word: new ones that point back at the old."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.domain.delivery import State
from services.runtime.database import Connection
from services.runtime.web.problems import Refused
from services.storage import ledger, replays
from services.storage.replays import Candidate, Wanted

_MOST = 10_000
_NAMED = 1_000
#: Why a delivery cannot be sent once more, for people.
OBSTACLES = {
    "owed": "it is still owed",
    "unsubscribed": "the subscription has ended",
    "paused": "the subscription is paused; resume it first",
    "disabled": "the endpoint is disabled; resume the subscription first",
    "pending": "the subscription is not confirmed",
    "deadline": "the opportunity's deadline has passed",
    "withdrawn": "the opportunity was withdrawn",
    "superseded": "a newer version of the opportunity took its place",
}


class ReplayRequest(BaseModel):
    """Which deliveries to send once more: those that meet all that is given, at least one thing."""

    model_config = ConfigDict(extra="forbid")

    event: UUID | None = None
    subscriber: Annotated[str, Field(max_length=100)] | None = None
    channel: Annotated[str, Field(max_length=50)] | None = None
    state: State | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    dry_run: bool = False

    def wanted(self) -> Wanted:
        """Turn it into a question to the database."""
        state = None if self.state is None else str(self.state)
        return Wanted(None, self.event, self.subscriber, self.channel, state, self.since, self.until)


async def retry(connection: Connection, delivery_id: UUID) -> dict[str, Any]:
    """Try a waiting delivery now, or send a final one once more; raise `Refused` when it cannot be."""
    row = await ledger.delivery(connection, delivery_id)
    if row is None:
        raise Refused(404, "There is no delivery with this id.")
    if await replays.retry_now(connection, delivery_id):
        return {"id": str(delivery_id), "state": "retrying", "replay_of": None}
    return await _once_more(connection, row)


async def _once_more(connection: Connection, row: Any) -> dict[str, Any]:
    if row["state"] == State.PENDING:
        return {"id": str(row["id"]), "state": "pending", "replay_of": None}
    found = await replays.candidates(connection, Wanted(delivery=row["id"]), limit=1)
    if not found:
        raise Refused(409, "This delivery was sent once more already; retry the newest one.")
    if found[0].obstacle:
        raise Refused(409, f"This delivery is not sent once more: {OBSTACLES[found[0].obstacle]}.")
    new = await replays.replay(connection, [row["id"]])
    if row["id"] not in new:
        raise Refused(409, "Somebody else had this delivery sent once more at the same moment.")
    return {"id": str(new[row["id"]]), "state": "pending", "replay_of": str(row["id"])}


async def replay(connection: Connection, request: ReplayRequest) -> dict[str, Any]:
    """Send what the request asks for once more, or say what would be; raise `Refused` when it is too much.

    What stands in the way of a delivery is counted under `skipped`, with the reason.
    """
    if request.wanted() == Wanted():
        raise Refused(422, "Say which deliveries: event, subscriber, channel, state, since or until.")
    found = await replays.candidates(connection, request.wanted(), limit=_MOST + 1)
    if len(found) > _MOST:
        raise Refused(422, f"This is more than {_MOST} deliveries; narrow it, with since and until.")
    ready = [c for c in found if c.obstacle is None]
    skipped: dict[str, int] = {}
    for candidate in found:
        if candidate.obstacle:
            skipped[candidate.obstacle] = skipped.get(candidate.obstacle, 0) + 1
    new = {} if request.dry_run else await replays.replay(connection, [c.id for c in ready])
    return {
        "dry_run": request.dry_run,
        "matched": len(found),
        "replayed": len(ready) if request.dry_run else len(new),
        "skipped": {name: {"count": n, "why": OBSTACLES[name]} for name, n in skipped.items()},
        "deliveries": [_replayed(candidate, new.get(candidate.id)) for candidate in ready[:_NAMED]],
    }


def _replayed(candidate: Candidate, new_id: UUID | None) -> dict[str, Any]:
    return {
        "id": new_id and str(new_id),
        "replay_of": str(candidate.id),
        "subscriber": candidate.subscriber,
        "channel": candidate.channel,
        "was": candidate.state,
    }
