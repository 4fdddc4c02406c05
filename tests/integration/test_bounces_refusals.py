"""A mail that is refused when it is handed in says as much of its address as one that comes back."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.runtime.database import Pool
from services.runtime.settings import Settings
from tests.integration.bouncing import Mails, mails
from tests.integration.owing import Books, eventually, sending, settings_for
from tests.rig.smtp import SmtpServer


@pytest.fixture
async def relay() -> AsyncIterator[SmtpServer]:
    """A relay that refuses as it is told."""
    async with SmtpServer() as server:
        yield server


@pytest.fixture
def settings(database_url: str, relay: SmtpServer) -> Settings:
    """Settings that mail through it."""
    return replace(settings_for(database_url), smtp_url=relay.url)


async def refused(pool: Pool, settings: Settings, relay: SmtpServer, answer: str, *, times: int = 1) -> Mails:
    """Have mails to somebody refused with this answer, one after the other; wait until all is noted."""
    relay.answer_recipient = lambda address: answer
    somebody = await mails(Books(pool, settings))
    async with sending(pool, settings, channel="email"):
        for _ in range(times):
            delivery = await somebody.owe()
            await somebody.books.until_state(delivery["id"], "failed")
        await eventually(
            somebody.receipts, lambda found: len(found) == times, what="the refusals to be noted"
        )
    return somebody


async def test_no_such_mailbox_suppresses_at_once_and_is_told(
    pool: Pool, settings: Settings, relay: SmtpServer
) -> None:
    somebody = await refused(pool, settings, relay, "550 5.1.1 No mailbox of info@start-it.example here")
    assert await somebody.status() == ("disabled", "bounced")
    assert await somebody.receipts() == [("hard", "5.1.1")]
    assert await pool.fetchval("SELECT detail FROM receipts") == "5.1.1 No mailbox of … here"
    assert await pool.fetchval("SELECT kind FROM notices") == "bounced"
    await somebody.owe()
    assert (await somebody.states())[-1] == ("suppressed", "bounced")


@pytest.mark.parametrize("answer", ["550 5.7.1 Not liked", "554 Spam, we think", "552 5.2.2 Mailbox full"])
async def test_what_may_be_about_the_mail_counts_as_soft(
    pool: Pool, settings: Settings, relay: SmtpServer, answer: str
) -> None:
    somebody = await refused(pool, settings, relay, answer, times=2)
    assert await somebody.status() == ("active", None)
    assert [kind for kind, _ in await somebody.receipts()] == ["soft", "soft"]
