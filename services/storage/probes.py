"""Probes: what somebody asked to have tried on the outside, and what came of it.

Only the dispatcher reaches outside. Others ask here, and read the answer here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import asyncpg

from services.domain.limits import Limit, check
from services.domain.subscriber import mailbox_of
from services.runtime.clock import utc_now
from services.runtime.database import Connection
from services.storage import queries, subscriptions

_sql = queries.load(__file__)
Row = asyncpg.Record
Kind = Literal["test", "verify"]

#: How often people may have something tried; our own repetitions do not count.
OF_A_SUBSCRIPTION = Limit(10, timedelta(hours=1))
OF_A_SUBSCRIBER = Limit(60, timedelta(hours=1))
#: How many of a subscriber's are tried at the same time.
AT_ONCE = 2
#: Test mails to somebody who has not said yes.
OF_A_STRANGER = Limit(3, timedelta(days=1))
#: How long we try to have an endpoint prove whose it is, without being asked again.
PROOF_AGAIN = (
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(hours=16),
)
#: How long after it was last tried an endpoint without proof stays pending.
PROOF_WITHIN = timedelta(days=30)
#: The notice that it needs its owner, and why a subscription ended that never proved itself.
UNPROVEN, UNANSWERED = "unproven", "not_confirmed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a probe: `answer` is what the other side said, `request` what we did, without secrets."""

    ok: bool
    error: str | None
    duration_ms: int
    code: int | None = None
    request: str = ""
    answer: str = ""


async def ask(connection: Connection, subscription_id: UUID, kind: Kind) -> UUID:
    """Have something tried soon; raise `TooOften`, or LookupError when there is no such subscription.

    A proof that waits for its next try is tried now. Runs in the caller's transaction.
    """
    row = await connection.fetchrow(_sql.subject, subscription_id)
    if row is None:
        raise LookupError("no such subscription")
    await connection.execute(_sql.turn, str(row["subscriber_id"]))
    if kind == "verify" and (waiting := await connection.fetchrow(_sql.waiting_proof, subscription_id)):
        if waiting["under_way"]:
            return waiting["id"]  # type: ignore[no-any-return]
        await _check(connection, row, kind)
        await connection.execute(_sql.hurry, waiting["id"])
        probe_id: UUID = waiting["id"]
    else:
        await _check(connection, row, kind)
        probe_id = await connection.fetchval(_sql.ask, subscription_id, kind, 0, timedelta())
    await connection.execute(_sql.wake)
    return probe_id


async def _check(connection: Connection, subscription: Row, kind: Kind) -> None:
    """Refuse what is asked too often: of one subscription, by one subscriber, or of a stranger's mailbox."""
    now, row = utc_now(), subscription
    mine = await connection.fetch(_sql.asked_of, row["id"], kind, OF_A_SUBSCRIPTION.most)
    check(OF_A_SUBSCRIPTION, _times(mine), now, "This was tried often enough for now; try again later.")
    ours = await connection.fetch(_sql.asked_by, row["subscriber_id"], OF_A_SUBSCRIBER.most)
    check(OF_A_SUBSCRIBER, _times(ours), now, "Too much was tried for this subscriber; try again later.")
    if kind == "test" and row["channel"] == "email" and row["status"] == "pending":
        mailbox = mailbox_of(row["target"])
        theirs = await connection.fetch(_sql.mailed_to, mailbox, row["destination"], OF_A_STRANGER.within)
        detail = (
            "Its owner has not confirmed yet, and had enough test mails today; ask them to confirm first."
        )
        check(OF_A_STRANGER, _times(theirs), now, detail)


def _times(rows: Sequence[Row]) -> list[datetime]:
    return [row["asked_at"] for row in rows]


async def result(connection: Connection, probe_id: UUID) -> Row | None:
    """Read what came of a probe; None until there is something, and for an unknown one."""
    row = await find(connection, probe_id)
    return row if row and row["done_at"] else None


async def find(connection: Connection, probe_id: UUID) -> Row | None:
    """Find a probe, answered (`done_at` is set) or not."""
    return await connection.fetchrow(_sql.find, probe_id)


async def latest(connection: Connection, subscription_id: UUID, limit: int) -> list[Row]:
    """List a subscription's probes, newest first; those without an answer have no `done_at`."""
    return await connection.fetch(_sql.latest, subscription_id, limit)


async def claim(connection: Connection, *, limit: int, lease_seconds: float) -> list[Row]:
    """Borrow probes that are due; they are due again when the lease ends without an answer.

    Of a subscriber at most `AT_ONCE` are borrowed at a time. Runs in the caller's transaction.
    """
    await connection.execute(_sql.claim_turn)
    return await connection.fetch(_sql.claim, limit, lease_seconds, AT_ONCE)


async def answer(connection: Connection, probe: Row, said: Answer) -> bool:
    """Write down what came of a claimed probe; False when another one answered it meanwhile.

    A proof makes the subscription active if it still waits, at the same target; without one it stays
    pending, says why, and is asked again a few times. Runs in the caller's transaction.
    """
    values = (said.ok, said.error, said.duration_ms, said.code, said.request, said.answer)
    if await connection.fetchval(_sql.answer, probe["id"], probe["attempts"], *values) is None:
        return False
    if probe["kind"] == "verify":
        await _prove(connection, probe, said)
    return True


async def _prove(connection: Connection, probe: Row, said: Answer) -> None:
    subscription_id = probe["subscription_id"]
    if said.ok:
        await subscriptions.confirm(connection, subscription_id, probe["target"])
    elif await subscriptions.note_pending(connection, subscription_id, said.error or ""):
        await _try_again(connection, subscription_id, probe["again"])


async def _try_again(connection: Connection, subscription_id: UUID, again: int) -> None:
    """Try a proof again later; when no try is left, have the owner told, once."""
    if again < len(PROOF_AGAIN):
        await connection.fetchval(_sql.ask, subscription_id, "verify", again + 1, PROOF_AGAIN[again])
    else:
        await connection.execute(_sql.tell_owner, subscription_id, UNPROVEN)


async def lapse(connection: Connection, limit: int = 100) -> int:
    """End the webhooks that never proved whose they are; return how many. Idempotent."""
    rows = await connection.fetch(_sql.lapsed, PROOF_WITHIN, limit)
    for row in rows:
        async with connection.transaction():
            await subscriptions.end(connection, row["id"], UNANSWERED)
    return len(rows)
