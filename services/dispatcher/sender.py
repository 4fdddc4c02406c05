"""Sends what is owed on one channel: claim, send, settle, record.

Rules:
1. No connection or transaction is held while sending.
2. No more is borrowed than there are free slots, so nothing waits under a lease.
3. First attempts always have slots: retries take half of them at most.
4. A lease is renewed while its delivery is being sent or its outcome waits for the database.
5. Stopping finishes what it can within its grace; the rest goes back untried.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.dispatcher import metrics
from services.dispatcher.contents import Content, Contents
from services.dispatcher.message import Channel, Message
from services.dispatcher.pace import FIRST_OF_EACH, FIRST_OF_HOST, FLOOR_OF_EACH, FLOOR_OF_HOST, Pace
from services.dispatcher.recorder import Recorder
from services.domain.delivery import (
    Interrupted,
    Outcome,
    Permanent,
    Sent,
    Temporary,
    settle,
    storable,
)
from services.domain.retry import RetryPolicy
from services.runtime.clock import utc_now
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.vault import Vault
from services.runtime.waiting import until
from services.storage import deliveries
from services.storage.deliveries import Claim, Limits, Result

log = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
_GATHER_SECONDS = 0.01
#: When little came, more may be behind what a circuit breaker put off.
_AGAIN_SECONDS = 0.05
#: What is overdue and was not claimed waits for a slot, or for its receiver.
_SHORTEST_SECONDS = 0.02
_GRACE_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class SenderPolicy:
    """How one channel is sent."""

    retry: RetryPolicy
    slots: int
    destination_slots: int
    lease_seconds: float
    attempt_seconds: float


class Sender:
    """Sends on one channel until told to stop."""

    def __init__(
        self,
        channel: Channel,
        policy: SenderPolicy,
        *,
        pool: Pool,
        recorder: Recorder,
        contents: Contents,
        vault: Vault,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._channel, self._policy, self._pool = channel, policy, pool
        self._recorder, self._contents, self._vault = recorder, contents, vault
        self._clock = clock
        self._hosts = Pace[str](first=FIRST_OF_HOST, floor=FLOOR_OF_HOST, cap=policy.destination_slots)
        self._receivers = Pace[UUID](first=FIRST_OF_EACH, floor=FLOOR_OF_EACH, cap=policy.destination_slots)
        self._tasks: dict[asyncio.Task[None], Claim] = {}
        self._retries = 0
        self._news = asyncio.Event()
        self._look_again: asyncio.TimerHandle | None = None
        self._freed = asyncio.Event()

    def wake(self) -> None:
        """Say that something new may be owed."""
        self._news.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, then finish or hand back what is in flight."""
        recording = self._recorder.run(self._freed.set)
        helpers = [asyncio.create_task(recording), asyncio.create_task(self._renew())]
        try:
            while not stop.is_set():
                await self._round()
        finally:
            await self._finish(helpers)

    async def _round(self) -> None:
        try:
            self._news.clear()
            free = self._free()
            claims, nothing_for = await self._claim(free) if free > 0 else ([], _POLL_SECONDS)
            for claim, content in claims:
                self._start(claim, content)
            await (self._idle(nothing_for) if nothing_for else self._gather())
        except UNAVAILABLE as error:
            log.warning(
                "sender waits for the database: channel %s, %s", self._channel.name, type(error).__name__
            )
            await asyncio.sleep(_POLL_SECONDS)

    def _free(self) -> int:
        # what is sent but not recorded counts too: a crash repeats no more than there are slots
        return max(0, self._policy.slots - len(self._tasks) - self._recorder.backlog)

    async def _claim(self, free: int) -> tuple[list[tuple[Claim, Content]], float]:
        """Borrow what is due, and tell for how many seconds there is nothing more; 0 is unknown.

        All on one connection: what comes in meanwhile waits for as few answers as can be.
        """
        for_retries = (self._policy.slots + 1) // 2 - self._retries
        limits = Limits(
            total=free,
            retries=max(0, min(free, for_retries)),
            lease_seconds=self._policy.lease_seconds,
            room=self._hosts.room(),
            room_else=self._hosts.first_window,
            room_of_each=self._receivers.room(),
            room_of_each_else=self._receivers.first_window,
        )
        async with self._pool.acquire() as connection:
            claims = await deliveries.claim(connection, self._channel.name, limits)
            if claims:
                said = await self._contents.learn(connection, claims)
                return said, 0.0 if _more_behind(claims, limits) else _AGAIN_SECONDS
            due = await deliveries.next_due(connection, self._channel.name)
        seconds = (due - self._clock()).total_seconds() if due else _POLL_SECONDS
        return [], min(max(seconds, _SHORTEST_SECONDS), _POLL_SECONDS)

    def _start(self, claim: Claim, content: Content) -> None:
        self._hosts.begin(claim.destination)
        self._receivers.begin(claim.subscription_id)
        self._retries += claim.attempt > 1
        task = asyncio.create_task(self._attempt(claim, content))
        self._tasks[task] = claim
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        claim = self._tasks.pop(task)
        self._retries -= claim.attempt > 1
        self._freed.set()
        if not task.cancelled() and (bug := task.exception()):
            log.error("attempt left unrecorded: delivery %s", claim.id, exc_info=bug)

    def _look_again_soon(self) -> None:
        """Have more claimed for a receiver that was full, once a few have made room."""
        if self._look_again is None:
            self._look_again = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._look_again_now)

    def _look_again_now(self) -> None:
        self._look_again = None
        self._news.set()

    async def _attempt(self, claim: Claim, content: Content) -> None:
        started_at, begun = self._clock(), time.perf_counter()
        outcome = await self._send(claim, content)
        if self._hosts.full(claim.destination) or self._receivers.full(claim.subscription_id):
            self._look_again_soon()
        self._hosts.end(claim.destination, answered_well=isinstance(outcome, Sent))
        self._receivers.end(claim.subscription_id, answered_well=isinstance(outcome, Sent))
        step = settle(
            outcome,
            attempts=claim.attempt,
            policy=self._policy.retry,
            expires_at=claim.expires_at,
            now=self._clock(),
            jitter=random.random(),  # noqa: S311  # spreads load; nothing is guessed from it
        )
        result = Result(
            claim=claim,
            step=step,
            started_at=started_at,
            duration_ms=round((time.perf_counter() - begun) * 1000),
            outcome=type(outcome).__name__.lower(),
            code=outcome.code,
            error=None if isinstance(outcome, Sent) else outcome.error,
            excerpt=storable(outcome.excerpt),
            gone=isinstance(outcome, Permanent) and outcome.gone,
        )
        self._recorder.put(result)
        metrics.attempted(self._channel.name, result)

    async def _send(self, claim: Claim, content: Content) -> Outcome:
        try:
            async with asyncio.timeout(self._policy.attempt_seconds):
                return await self._channel.send(self._message(claim, content))
        except TimeoutError:
            return Temporary("timeout", at_least=timedelta(seconds=60))
        except asyncio.CancelledError:
            return Interrupted()
        except Exception:
            log.exception("channel %s failed unexpectedly: delivery %s", self._channel.name, claim.id)
            return Temporary("unexpected")

    def _message(self, claim: Claim, content: Content) -> Message:
        return Message(
            delivery_id=claim.id,
            attempt=claim.attempt,
            announcement=content.announcement,
            subscription_id=claim.subscription_id,
            subscriber_id=claim.subscriber_id,
            subscriber=claim.subscriber,
            target=claim.target,
            language=claim.language,
            match=claim.match,
            unsubscribe_token=self._vault.open(claim.unsubscribe_seal),
            secrets=tuple(self._vault.open(sealed) for sealed in claim.secrets),
            since=content.since,
            mailing=content.mailing,
        )

    async def _gather(self) -> None:
        """Let slots come free for a moment before claiming again, so that claims come in batches."""
        if self._free() <= 0:
            await self._until_freed(_POLL_SECONDS)
        end = time.monotonic() + _GATHER_SECONDS
        while self._free() < self._policy.slots // 4 and (left := end - time.monotonic()) > 0:
            await self._until_freed(left)

    async def _until_freed(self, seconds: float) -> None:
        self._freed.clear()
        await until(self._freed, seconds)

    async def _idle(self, seconds: float) -> None:
        """Wait for news, or for a slot when there is none."""
        if self._free() > 0:
            await until(self._news, seconds)
        else:
            await self._until_freed(_POLL_SECONDS)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._policy.lease_seconds / 3)
            held = [*self._tasks.values(), *(r.claim for r in self._recorder.unrecorded())]
            try:
                async with self._pool.acquire() as connection:
                    await deliveries.renew(connection, held, self._policy.lease_seconds)
            except UNAVAILABLE:
                log.warning("leases not renewed: channel %s", self._channel.name)

    async def _finish(self, helpers: "list[asyncio.Task[None]]") -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GRACE_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await self._recorder.drain(2.0)
        await self._channel.close()


def _more_behind(claims: Sequence[Claim], limits: Limits) -> bool:
    """Tell whether a claim may have left what can go: it is large, or a receiver got all that it may have."""
    hosts = Counter(claim.destination for claim in claims)
    receivers = Counter(claim.subscription_id for claim in claims)
    return (
        len(claims) > limits.total // 4
        or any(n >= limits.room.get(key, limits.room_else) for key, n in hosts.items())
        or any(n >= limits.room_of_each.get(key, limits.room_of_each_else) for key, n in receivers.items())
    )
