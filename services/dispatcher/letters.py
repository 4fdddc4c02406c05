"""Sends letters: mails to one person that are about no event.

Rules:
1. A letter is tried until it was handed in, is refused for good, or is of no use any more.
2. What it says and to whom is forgotten at that moment, and never stands in a log.
3. A crash between sending and recording may repeat it once, with the same Message-ID.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime

import asyncpg
from aiosmtplib import SMTPException

from services.dispatcher.channels.email import outcome_of
from services.dispatcher.errands import Errands
from services.dispatcher.mail.composer import BadAddress
from services.dispatcher.mail.letter import Writer
from services.dispatcher.mail.pool import pool_of
from services.dispatcher.mail.templates import BadTemplate
from services.domain.delivery import Permanent
from services.domain.retry import RetryPolicy
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.runtime.listen import listen
from services.runtime.parts import run_together
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.storage import letters

log = logging.getLogger(__name__)
_POLL_SECONDS = 5.0
#: Somebody waits for most of them with the mailbox open, so the first tries follow quickly.
_POLICY = RetryPolicy.parse("5s 20s 1m 5m 15m 1h 3h 8h 12h 24h")
SENT = "sent"


async def run_letters(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    """Send letters until `stop`."""
    desk = _Desk(pool, settings)
    errands = Errands(
        "letters", claim=desk.claim, do=desk.send, slots=settings.smtp_connections, poll_seconds=_POLL_SECONDS
    )
    try:
        await run_together(
            stop,
            errands.run(stop),
            listen(settings.database_url, "letters_due", errands.wake, stop),
        )
    finally:
        await desk.close()


class _Desk:
    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool, self._vault = pool, Vault(settings)
        self._writer, self._mail = Writer(settings), pool_of(settings)
        self._lease_seconds = 4 * settings.email_timeout_seconds

    async def claim(self, limit: int) -> Sequence[asyncpg.Record]:
        async with self._pool.acquire() as connection:
            return await letters.claim(connection, limit=limit, lease_seconds=self._lease_seconds)

    async def send(self, letter: asyncpg.Record) -> None:
        outcome, again_at = await self._tried(letter)
        async with self._pool.acquire() as connection:
            await letters.settle(connection, letter, outcome, again_at)
        log.info("letter %s, %s: %s", letter["id"], letter["kind"], outcome)

    async def _tried(self, letter: asyncpg.Record) -> tuple[str, datetime | None]:
        """Try once; tell what became of it, and when to try again."""
        try:
            await self._hand_in(letter)
        except BadAddress:
            return "bad_address", None
        except BadTemplate as error:
            log.error("letter template failed: %s", error)
            return "template", None
        except (SMTPException, OSError) as error:
            outcome = outcome_of(error)
            reason = getattr(outcome, "error", "unexpected")
            return reason, None if isinstance(outcome, Permanent) else _again_at(letter)
        return SENT, None

    async def _hand_in(self, letter: asyncpg.Record) -> None:
        recipient, shown = letters.opened(self._vault, letter["sealed"])
        written = await asyncio.to_thread(
            self._writer.write, letter["id"], letter["kind"], letter["language"], recipient, shown
        )
        await self._mail.send(written.sender, written.recipient, written.raw)

    async def close(self) -> None:
        await self._mail.close()


def _again_at(letter: asyncpg.Record) -> datetime | None:
    """Find when to try again; None when the schedule is over, or the letter of no use by then."""
    wait = _POLICY.wait_after(letter["attempts"])
    at = None if wait is None else utc_now() + wait
    return at if at is not None and at < letter["expires_at"] else None
