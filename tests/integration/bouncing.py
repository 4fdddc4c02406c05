"""Mails that were sent, on the books, and what comes back about them."""

from datetime import timedelta
from uuid import UUID, uuid4

from services.domain.bounces import Bounce, Kind
from services.runtime.clock import utc_now
from services.runtime.database import Pool
from services.storage import bounces
from services.storage.bounces import Taken
from tests.integration.owing import Books, Row
from tests.rig.samples import opportunity

_SENT = """UPDATE deliveries SET state = 'sent', attempts = 1, settled_at = $2
WHERE subscription_id = $1 AND state = 'pending' RETURNING id"""


class Mails:
    """One subscription by mail, and its mails."""

    def __init__(self, books: Books, subscription: UUID, slug: str, theme: str) -> None:
        self.books, self.subscription, self.slug = books, subscription, slug
        self.theme = theme

    @property
    def pool(self) -> Pool:
        """The database."""
        return self.books.pool

    async def owe(self, **changes: object) -> Row:
        """Owe one more mail; give its delivery."""
        await self.books.plan(data=opportunity(themes=[self.theme], **changes))
        return (await self.books.of_subscription(self.subscription))[-1]

    async def sent(self, *, days_ago: float = 0, **changes: object) -> UUID:
        """Owe a mail, and have it sent so many days ago."""
        await self.owe(**changes)
        return await self.mark_sent(days_ago=days_ago)

    async def mark_sent(self, *, days_ago: float = 0) -> UUID:
        """Have the mail that is owed sent so many days ago."""
        at = utc_now() - timedelta(days=days_ago)
        delivery: UUID = await self.pool.fetchval(_SENT, self.subscription, at)
        return delivery

    async def back(self, delivery: UUID, kind: Kind = Kind.HARD, *, days_ago: float = 0) -> Taken:
        """Have something come back about a mail, so many days ago."""
        bounce = Bounce(delivery, kind, {"hard": "5.1.1", "soft": "4.2.2"}.get(kind), "No mailbox here")
        async with self.pool.acquire() as connection, connection.transaction():
            return await bounces.take(connection, bounce, utc_now() - timedelta(days=days_ago))

    async def sent_and_back(self, *ages: float, kind: Kind = Kind.SOFT) -> Taken:
        """Have mails sent so many days ago come back on the day itself; tell what became of the last."""
        taken = Taken.UNKNOWN
        for age in ages:
            taken = await self.back(await self.sent(days_ago=age), kind, days_ago=age)
        return taken

    async def status(self) -> tuple[str, str | None]:
        """Read how the subscription stands, and why."""
        row = await self.pool.fetchrow(
            "SELECT status::text, status_reason FROM subscriptions WHERE id = $1", self.subscription
        )
        assert row is not None
        return row["status"], row["status_reason"]

    async def suppressions(self) -> list[Row]:
        """Read the suppressions, oldest first."""
        return await self.pool.fetch(
            "SELECT * FROM suppressions WHERE subscription_id = $1 ORDER BY id", self.subscription
        )

    async def receipts(self) -> list[tuple[str, str | None]]:
        """Read what came back: kind and status."""
        rows = await self.pool.fetch(
            "SELECT r.kind, r.status FROM receipts r JOIN deliveries d ON d.id = r.delivery_id"
            " WHERE d.subscription_id = $1 ORDER BY r.id",
            self.subscription,
        )
        return [(row["kind"], row["status"]) for row in rows]

    async def states(self) -> list[tuple[str, str | None]]:
        """Read how the deliveries stand, and why."""
        rows = await self.books.of_subscription(self.subscription)
        return [(row["state"], row["reason"]) for row in rows]


async def mails(
    books: Books, target: str = "info@start-it.example", *, contact: str = "owner@incubator.example"
) -> Mails:
    """Subscribe somebody by mail."""
    theme = f"theme-{uuid4().hex}"
    added = await books.subscribe(target, channel="email", wanted={"themes": [theme]}, contact=contact)
    return Mails(books, added.id, added.slug, theme)
