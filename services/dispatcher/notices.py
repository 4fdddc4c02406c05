"""Tells the owner of a target that was disabled, by another way: a mail to the contact.

Where the contact is the very address that mails came back from, there is no other way here.
A notice is due until it was told; one that cannot be mailed is tried for three days, then given up.
"""

import asyncio
import logging
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import asyncpg
from aiosmtplib import SMTPException

from services.dispatcher.mail.composer import read_sender
from services.dispatcher.mail.pool import Pool as MailPool
from services.dispatcher.mail.pool import pool_of
from services.dispatcher.mail.templates import Templates
from services.domain.retry import RetryPolicy
from services.runtime.clock import utc_now
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.settings import Settings
from services.runtime.waiting import until
from services.storage import notices

log = logging.getLogger(__name__)
_PAUSE_SECONDS = 5.0
_POLICY = RetryPolicy.parse("1m 10m 1h 6h 12h 24h 24h")


async def run_notices(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    """Tell owners until `stop`."""
    mail, templates = pool_of(settings), Templates(settings.templates_dir)
    try:
        while not stop.is_set():
            try:
                await _tell_due(pool, settings, mail, templates)
            except UNAVAILABLE as error:
                log.info("notices wait for the database: %s", type(error).__name__)
            await until(stop, _PAUSE_SECONDS)
    finally:
        await mail.close()


async def _tell_due(pool: Pool, settings: Settings, mail: MailPool, templates: Templates) -> None:
    async with pool.acquire() as connection:
        due = await notices.claim(connection, lease_seconds=4 * settings.email_timeout_seconds)
    for notice in due:
        outcome = await _tell(notice, settings, mail, templates)
        wait = _POLICY.wait_after(notice["attempts"]) if outcome.startswith("later") else None
        again_at = None if wait is None else utc_now() + wait
        async with pool.acquire() as connection:
            await notices.settle(connection, notice["id"], outcome, again_at)
        log.warning("endpoint disabled: subscription %s, owner: %s", notice["subscription_id"], outcome)


async def _tell(notice: asyncpg.Record, settings: Settings, mail: MailPool, templates: Templates) -> str:
    if not notice["contact"]:
        return "no contact is known"
    if notice["channel"] == "email" and notice["contact"].lower() == notice["target"].lower():
        return "no other address is known"
    sender = read_sender(settings)
    message = write_notice(notice, settings, templates)
    try:
        await mail.send(sender.address, notice["contact"], message.as_bytes())
    except (SMTPException, OSError) as error:
        return f"later: {type(error).__name__}"
    return "told by mail"


def write_notice(notice: asyncpg.Record, settings: Settings, templates: Templates) -> EmailMessage:
    """Write the mail to an owner, in the language of the subscriber."""
    sender, language = read_sender(settings), templates.language(notice["language"])
    shown = {
        "subscriber": notice["subscriber"],
        "target": notice["target"],
        "reason": notice["kind"],
        "days": settings.disable_after_hours / 24,
        "sender": sender.name or sender.address,
    }
    letter = templates.letter("disabled", language, shown)
    message = EmailMessage(policy=SMTP)
    message["From"] = settings.mail_from
    message["To"] = notice["contact"]
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(utc_now())
    message["Message-ID"] = f"<{notice['id'].hex}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    message["Content-Language"] = language
    return message
