"""Tries on the outside what others asked for: a test, or the proof whose an endpoint is.

Tried once, answered once; only a proof is tried again later (services/storage/probes.py).
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
from aiosmtplib import SMTPException

from services.dispatcher.channels.email import outcome_of
from services.dispatcher.errands import Errands
from services.dispatcher.mail.composer import BadAddress
from services.dispatcher.mail.letter import Writer, Written
from services.dispatcher.mail.pool import pool_of
from services.dispatcher.mail.templates import BadTemplate
from services.dispatcher.probe_webhook import WebhookProber
from services.domain.delivery import Outcome, Sent, storable
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.runtime.listen import listen
from services.runtime.parts import run_together
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.storage import probes
from services.storage.probes import Answer

log = logging.getLogger(__name__)
_SLOTS = 16
_POLL_SECONDS = 5.0
_MOST_ATTEMPTS = 3
#: Nobody waits for a test that was asked for so long ago.
_STALE = timedelta(hours=1)


async def run_probes(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    """Try what is asked until `stop`."""
    prober = _Prober(pool, settings)
    errands = Errands("probes", claim=prober.claim, do=prober.do, slots=_SLOTS, poll_seconds=_POLL_SECONDS)
    try:
        await run_together(
            stop,
            errands.run(stop),
            listen(settings.database_url, "probes_asked", errands.wake, stop),
        )
    finally:
        await prober.close()


class _Prober:
    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool, self._vault = pool, Vault(settings)
        self._webhooks = WebhookProber(settings)
        self._writer, self._mail = Writer(settings), pool_of(settings)
        self._limit_seconds = settings.webhook_timeout_seconds + 2 * settings.email_timeout_seconds

    async def claim(self, limit: int) -> Sequence[asyncpg.Record]:
        async with self._pool.acquire() as connection, connection.transaction():
            return await probes.claim(connection, limit=limit, lease_seconds=2 * self._limit_seconds)

    async def do(self, probe: asyncpg.Record) -> None:
        said = _hopeless(probe) or await self._tried(probe)
        async with self._pool.acquire() as connection, connection.transaction():
            await probes.answer(connection, probe, said)
        log.info(
            "probe %s, %s of subscription %s: %s",
            *(probe["id"], probe["kind"], probe["subscription_id"], said.error or "ok"),
        )

    async def _tried(self, probe: asyncpg.Record) -> Answer:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(self._limit_seconds):
                return await self._try(probe)
        except TimeoutError:
            return Answer(False, "timeout", _since(begun))
        except Exception:
            log.exception("probe %s failed unexpectedly", probe["id"])
            return Answer(False, "unexpected", _since(begun))

    async def _try(self, probe: asyncpg.Record) -> Answer:
        if probe["channel"] == "email":
            return await self._mailed(probe)
        secrets = tuple(self._vault.open(sealed) for sealed in probe["secrets"])
        attempt = self._webhooks.test if probe["kind"] == "test" else self._webhooks.verify
        return await attempt(probe["id"], probe["target"], secrets)

    async def _mailed(self, probe: asyncpg.Record) -> Answer:
        """Send a test letter; it worked when the relay took it."""
        begun, shown = time.perf_counter(), {"subscriber": probe["subscriber"]}
        try:
            letter = await asyncio.to_thread(
                self._writer.write, probe["id"], "test", probe["language"], probe["target"], shown
            )
        except BadAddress:
            return Answer(False, "bad_address", _since(begun))
        except BadTemplate as error:
            log.error("letter template failed: %s", error)
            return Answer(False, "template", _since(begun))
        outcome = await self._handed_in(letter)
        return Answer(
            ok=isinstance(outcome, Sent),
            error=None if isinstance(outcome, Sent) else outcome.error,
            duration_ms=_since(begun),
            code=outcome.code,
            request=f"To: {letter.recipient}\nSubject: {letter.subject}",
            answer=storable(outcome.excerpt),
        )

    async def _handed_in(self, letter: Written) -> Outcome:
        try:
            return Sent(250, await self._mail.send(letter.sender, letter.recipient, letter.raw))
        except (SMTPException, OSError) as error:
            return outcome_of(error)

    async def close(self) -> None:
        await self._webhooks.close()
        await self._mail.close()


def _hopeless(probe: asyncpg.Record) -> Answer | None:
    """Tell why a probe is not tried: nobody waits for it, or it keeps killing its dispatcher."""
    if probe["status"] == "ended":
        return Answer(False, "ended", 0)
    if probe["attempts"] > _MOST_ATTEMPTS:
        return Answer(False, "interrupted", 0)
    if probe["kind"] == "test" and utc_now() - probe["asked_at"] > _STALE:
        return Answer(False, "too_late", 0)
    return None


def _since(begun: float) -> int:
    return round((time.perf_counter() - begun) * 1000)
