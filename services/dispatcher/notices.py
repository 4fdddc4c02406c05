"""Tells the people of a subscriber that a target was disabled, or never proved itself: by letters to them.

The address that mails came back from, or that complained, is told nothing: it is no way to anybody.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from services.runtime.database import UNAVAILABLE, Connection, Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.runtime.waiting import until
from services.storage import letters, notices, probes
from services.storage.letters import Letter

log = logging.getLogger(__name__)
_PAUSE_SECONDS = 5.0
_AT_ONCE = 50
_USEFUL_FOR = timedelta(days=3)


async def run_notices(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    """Have owners told until `stop`."""
    vault = Vault(settings)
    while not stop.is_set():
        try:
            async with pool.acquire() as connection, connection.transaction():
                await _tell_due(connection, vault, settings)
        except UNAVAILABLE as error:
            log.info("notices wait for the database: %s", type(error).__name__)
        await until(stop, _PAUSE_SECONDS)


async def _tell_due(connection: Connection, vault: Vault, settings: Settings) -> None:
    """Write the letters and settle the notices, all in one transaction: nobody is told twice."""
    for notice in await notices.take(connection, limit=_AT_ONCE):
        recipients = whom(notice)
        for recipient in recipients:
            await letters.add(connection, vault, letter_of(notice, recipient, settings))
        outcome = _outcome(notice, recipients)
        await notices.settle(connection, notice["id"], outcome)
        log.warning(
            "endpoint %s: subscription %s, owner: %s", notice["kind"], notice["subscription_id"], outcome
        )


def whom(notice: asyncpg.Record) -> list[str]:
    """List whom to tell: the contact and the people, each once, but not the address that is dead."""
    dead = notice["target"].lower() if notice["channel"] == "email" else ""
    known = [address for address in (notice["contact"], *notice["people"]) if address]
    first_spelling = {address.lower(): address for address in reversed(known)}
    return [first_spelling[key] for key in dict.fromkeys(map(str.lower, known)) if key != dead]


def letter_of(notice: asyncpg.Record, recipient: str, settings: Settings) -> Letter:
    """Write down what a letter about this notice shows."""
    if notice["kind"] == probes.UNPROVEN:
        return _unproven(notice, recipient)
    shown = {
        "subscriber": notice["subscriber"],
        "target": notice["target"],
        "reason": notice["kind"],
        "days": settings.disable_after_hours / 24,
        "alone": notice["alone"],
    }
    return Letter("disabled", recipient, notice["language"], shown, _USEFUL_FOR)


def _unproven(notice: asyncpg.Record, recipient: str) -> Letter:
    shown = {
        "subscriber": notice["subscriber"],
        "target": notice["target"],
        "error": notice["status_reason"] or "",
        "days": probes.PROOF_WITHIN.days,
    }
    return Letter("unproven", recipient, notice["language"], shown, _USEFUL_FOR)


def _outcome(notice: asyncpg.Record, recipients: Sequence[str]) -> str:
    if recipients:
        return f"told by letter: {len(recipients)}"
    known = notice["contact"] or notice["people"]
    return "no other address is known" if known else "no contact is known"
