"""A dispatcher's mails by a clock of the test's own: digests and reminders made, sent, and read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from uuid import UUID
from zoneinfo import ZoneInfo

from services.dispatcher.mailings import make_due
from services.runtime.database import Pool
from services.storage import subscriptions
from tests.integration.owing import Books, Row, Subscribed, eventually, sending, settings_for
from tests.rig.smtp import Mail, SmtpServer

BRUSSELS = ZoneInfo("Europe/Brussels")
ADDRESS = "opdrachten@incubator.example"


def at(text: str) -> datetime:
    """A moment by the clock in Brussels."""
    return datetime.fromisoformat(text).replace(tzinfo=BRUSSELS)


@dataclass(frozen=True)
class Post:
    """Books, and the relay that gets their mails."""

    books: Books
    relay: SmtpServer

    @property
    def pool(self) -> Pool:
        """The database."""
        return self.books.pool

    async def somebody(self, **how: object) -> Subscribed:
        """Subscribe by mail, to a daily digest unless said otherwise."""
        given = {"channel": "email", "cadence": "daily", **how}
        target = str(given.pop("target", ADDRESS))
        return await self.books.subscribe(target, **given)  # type: ignore[arg-type]

    async def make(self, when: str) -> None:
        """Make what is due at a moment."""
        await make_due(self.pool, at(when))

    async def stand(self, *who: Subscribed) -> list[tuple[str, str | None]]:
        """Read how deliveries about events stand, and why."""
        return [(row["state"], row["reason"]) for row in await self.about_events(*who)]

    async def about_events(self, *who: Subscribed) -> list[Row]:
        """Read the deliveries that are about events, in the order in which they were owed."""
        rows = [row for each in who for row in await self.books.of_subscription(each.id)]
        return [row for row in rows if row["event_id"] is not None]

    async def carriers(self) -> list[Row]:
        """Read the deliveries that carry mailings."""
        return await self.pool.fetch(
            "SELECT *, state::text AS state FROM deliveries WHERE carries IS NOT NULL ORDER BY id"
        )

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send mails meanwhile."""
        async with sending(self.pool, self.books.settings, channel="email"):
            yield

    async def until_settled(self) -> None:
        """Wait until nothing is owed any more but what waits for its digest."""
        owed = """SELECT count(*) FROM deliveries
            WHERE channel = 'email' AND state IN ('pending', 'retrying', 'sending')
            AND (gather_until IS NULL OR mailing_id IS NOT NULL)"""
        await eventually(
            lambda: self.pool.fetchval(owed), lambda n: n == 0, what="nothing to be owed any more"
        )

    async def mails(self) -> list[Mail]:
        """Send what is owed, and give all mails that came so far."""
        async with self.sending():
            await self.until_settled()
        return list(self.relay.mails)

    async def end(self, who: Subscribed) -> None:
        """Unsubscribe."""
        async with self.pool.acquire() as connection, connection.transaction():
            await subscriptions.end(connection, who.id, "unsubscribed")


@asynccontextmanager
async def post_office(pool: Pool, database_url: str, **changes: object) -> AsyncIterator[Post]:
    """Books whose mails go to a relay of the test's own."""
    async with SmtpServer() as relay:
        given = {"smtp_url": relay.url, "email_schedule": "0.2s 0.2s", **changes}
        yield Post(Books(pool, settings_for(database_url, **given)), relay)


def text_of(mail: Mail) -> str:
    """Read a mail's text, unwrapped."""
    message: EmailMessage = mail.message
    part = message.get_body(("plain",))
    assert part is not None
    return " ".join(part.get_content().split())


def carrier_of(mail: Mail) -> UUID:
    """Tell which delivery a mail says it is."""
    return UUID(mail.sender.partition("+")[2].partition("@")[0])
