"""Puts right what time brings: leases that ran out, deadlines that passed, questions never answered."""

import asyncio
import logging

from services.dispatcher import metrics
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.settings import Settings
from services.runtime.waiting import until
from services.storage import bounces, confirmations, deliveries, erasing, probes

log = logging.getLogger(__name__)
_LONGEST_PAUSE = 5.0


async def run_sweeper(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    """Sweep every few seconds until `stop`."""
    pause = min(settings.lease_seconds / 4, _LONGEST_PAUSE)
    while not stop.is_set():
        seconds = pause
        try:
            await sweep(pool)
        except UNAVAILABLE as error:
            log.warning("sweeper waits for the database: %s", type(error).__name__)
            # Senders first renew what they hold and record what they know; only then is a lease old.
            seconds = settings.lease_seconds
        await until(stop, seconds)


async def sweep(pool: Pool) -> None:
    """Sweep once."""
    async with pool.acquire() as connection:
        if taken_back := await deliveries.reclaim(connection):
            metrics.RECLAIMED.inc(taken_back)
            log.warning("leases expired: %d deliveries are due again", taken_back)
        if late := await deliveries.expire(connection):
            metrics.EXPIRED.inc(late)
            log.info("deadline passed: %d deliveries expired", late)
        if over := await bounces.release_expired(connection):
            log.info("suppressions over: %d subscriptions are told again", over)
        if lapsed := await confirmations.lapse(connection):
            log.info("never confirmed: %d subscriptions ended", lapsed)
        if unproven := await probes.lapse(connection):
            log.info("never proven: %d webhooks ended", unproven)
        await erasing.mop_up(connection)
