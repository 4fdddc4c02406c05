"""Records outcomes in group commits: while one is being written, the next one gathers.

An outcome is kept in memory until the database has it, through outages; nothing is sent again
because of a slow database, only because of a dead process.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from services.domain import breaker
from services.domain.bounces import Bounce, read_refusal
from services.domain.breaker import BreakerPolicy, Health
from services.runtime.clock import utc_now
from services.runtime.database import UNAVAILABLE, Connection, Pool
from services.storage import bounces, deliveries, health
from services.storage.deliveries import Claim, Result

log = logging.getLogger(__name__)
_LARGEST = 500


class Recorder:
    """Writes the results of one sender."""

    def __init__(
        self,
        pool: Pool,
        breaker_policy: BreakerPolicy | None,
        clock: Callable[[], datetime] = utc_now,
        *,
        judges_refusals: bool = False,
    ) -> None:
        self._pool, self._breaker, self._clock = pool, breaker_policy, clock
        self._judges_refusals = judges_refusals
        self._waiting: list[Result] = []
        self._writing: Sequence[Result] = ()
        self._some = asyncio.Event()

    def put(self, result: Result) -> None:
        """Have a result recorded soon."""
        self._waiting.append(result)
        self._some.set()

    def unrecorded(self) -> Sequence[Result]:
        """The results that the database does not have yet."""
        return [*self._writing, *self._waiting]

    @property
    def backlog(self) -> int:
        """How many results the database does not have yet."""
        return len(self._writing) + len(self._waiting)

    async def run(self, recorded: Callable[[], None]) -> None:
        """Record until cancelled; call `recorded` whenever the backlog is smaller."""
        while True:
            await self._some.wait()
            await self._write_next()
            recorded()

    async def drain(self, seconds: float) -> None:
        """Record what is left, for at most so long; what stays is retried when its lease ends."""
        try:
            async with asyncio.timeout(seconds):
                while self._writing or self._waiting:
                    await self._write_next()
        except TimeoutError:
            log.error("outcomes not recorded before stopping: %d", len(self.unrecorded()))

    async def _write_next(self) -> None:
        if not self._writing:
            self._writing, self._waiting = self._waiting[:_LARGEST], self._waiting[_LARGEST:]
        await self._write(self._writing)
        self._writing = ()
        if not self._waiting:
            self._some.clear()

    async def _write(self, results: Sequence[Result]) -> None:
        wait = 0.05
        while True:
            try:
                return await self._once(results)
            except UNAVAILABLE as error:
                log.warning("outcomes wait for the database: %s", type(error).__name__)
                await asyncio.sleep(wait)
                wait = min(wait * 2, 1.0)
            except Exception:
                if len(results) == 1:
                    # its lease will run out, and it is tried again under the same id
                    return log.exception("outcome refused by the database: delivery %s", results[0].claim.id)
                for result in results:
                    await self._write([result])
                return None

    async def _once(self, results: Sequence[Result]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            settled = await deliveries.record(connection, results)
            if self._breaker:
                await self._judge(connection, self._breaker, results)
        if self._judges_refusals:
            await self._judge_refusals(results)
        for late in (r for r in results if r.claim.id not in settled):
            log.warning("late outcome dropped: delivery %s attempt %d", late.claim.id, late.claim.attempt)

    async def _judge_refusals(self, results: Sequence[Result]) -> None:
        """Note refused mails as if they had come back, one by one: each takes hold of its subscription."""
        for result in results:
            if result.outcome == "permanent" and result.code is not None:
                try:
                    await self._judge_refusal(read_refusal(result.claim.id, result.excerpt))
                except UNAVAILABLE as error:
                    # the outcome is recorded, so it must not be again; the next refusal is judged
                    log.warning("refusal not judged: delivery %s, %s", result.claim.id, type(error).__name__)

    async def _judge_refusal(self, refusal: Bounce) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await bounces.refused(connection, refusal, self._clock())

    async def _judge(self, connection: Connection, policy: BreakerPolicy, results: Sequence[Result]) -> None:
        """Heal, blame or disable the endpoints of these results."""
        worked = {r.claim.subscription_id for r in results if r.outcome == "sent"}
        if worked:
            await health.heal(connection, list(worked))
        for gone in sorted({r.claim.subscription_id for r in results if r.gone}):
            await health.disable(connection, gone, "gone")
        blamed = [r.claim for r in results if r.outcome in ("temporary", "permanent")]
        if failing := [claim for claim in blamed if claim.subscription_id not in worked]:
            await self._blame(connection, policy, failing)

    async def _blame(self, connection: Connection, policy: BreakerPolicy, failing: Sequence[Claim]) -> None:
        tried = {claim.subscription_id for claim in failing}
        known = await health.lock(connection, list(tried))
        for subscription in sorted(tried):
            worse = known.get(subscription, Health())
            for claim in (c for c in failing if c.subscription_id == subscription):
                worse = breaker.failed(worse, policy, self._clock(), probe=claim.probe)
            if worse.disabled:
                await health.disable(connection, subscription, "dead")
            else:
                await health.save(connection, subscription, worse)
