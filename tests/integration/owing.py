"""Books of what is owed, kept through the storage modules, and the dispatcher's parts run against them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from secrets import token_bytes
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg

from services.dispatcher.contents import Contents
from services.dispatcher.recorder import Recorder
from services.dispatcher.registry import CHANNELS
from services.dispatcher.sender import Sender
from services.dispatcher.sweeper import run_sweeper
from services.domain.event import parse_cloudevent
from services.domain.matching import parse_filter
from services.domain.signing import symmetric_secret
from services.domain.subscriber import parse_subscriber
from services.runtime.clock import utc_now
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.listen import listen
from services.runtime.parts import run_together
from services.runtime.settings import Settings
from services.runtime.vault import Vault, new_token, token_hash
from services.storage import deliveries, events, planning, subscribers, subscriptions
from services.storage.deliveries import Claim, Limits
from services.storage.subscriptions import NewSubscription
from tests.rig.samples import cloudevent, opportunity
from tests.rig.waiting import until

#: For waits that a slow machine may draw out; nothing is asserted about speed.
PATIENCE = 60.0
Row = asyncpg.Record
T = TypeVar("T")


def settings_for(database_url: str, **changes: Any) -> Settings:
    """Give settings for one test: names of its own on Kafka, loopback allowed, short waits."""
    own = uuid4().hex[:12]
    plain: dict[str, Any] = {
        "database_url": database_url,
        "kafka_bootstrap_servers": "127.0.0.1:1",
        "smtp_url": "smtp://127.0.0.1:1",
        "secret_key": "0123456789abcdef",
        "webhook_allow_networks": "127.0.0.0/8",
        "webhook_schedule": "0.2s 0.3s",
        "events_topic": f"events-{own}",
        "status_topic": f"status-{own}",
        "consumer_group": f"group-{own}",
        "breaker_failures": 1_000,
    }
    return Settings(**{**plain, **changes})


@dataclass(frozen=True)
class Subscribed:
    """Somebody who is to be told."""

    id: UUID
    slug: str
    secret: str = field(repr=False)


class Books:
    """Adds what a test needs to the database, and reads what became of it."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self.pool, self.settings, self.vault = pool, settings, Vault(settings)

    async def subscribe(
        self,
        target: str,
        *,
        channel: str = "webhook",
        wanted: dict[str, Any] | None = None,
        contact: str = "owner@incubator.example",
        cadence: str = "immediate",
        quiet: tuple[time, time] | None = None,
        beside: Subscribed | None = None,
        **wishes: Any,
    ) -> Subscribed:
        """Add a subscriber with one active subscription; a webhook gets a secret.

        `beside` gives the subscription to a subscriber who is there already; `wishes` are its own fields.
        """
        slug = beside.slug if beside else f"s-{uuid4().hex}"
        token, secret = new_token(), symmetric_secret(token_bytes(32))
        given = {"slug": slug, "name": "Incubator", "kind": "incubator", "contact": contact, **wishes}
        async with self.pool.acquire() as connection, connection.transaction():
            if beside is None:
                await subscribers.add(connection, parse_subscriber(given))
            owner = await subscribers.hold(connection, slug)
            assert owner is not None
            new = NewSubscription(
                subscriber_id=owner["id"],
                channel=channel,
                target=target,
                filter=parse_filter(wanted),
                language="nl",
                token_hash=token_hash(token),
                token_seal=self.vault.seal(token),
                cadence=cadence,
                quiet=quiet,
            )
            added = await subscriptions.add(connection, new)
            if channel == "webhook":
                await subscriptions.add_secret(connection, added, "v1", self.vault.seal(secret))
        return Subscribed(added, slug, secret)

    async def plan(self, *, at: datetime | None = None, **changes: Any) -> UUID:
        """Accept an event and plan it, in one transaction; changes are those of `samples.cloudevent`.

        `at` is when it is planned, for what waits.
        """
        event = parse_cloudevent(cloudevent(**changes))
        async with self.pool.acquire() as connection, connection.transaction():
            accepted = await events.accept(connection, [event], accepted_by="http", relay=False)
            await planning.plan(connection, [accepted[0].id], at=at)
        return accepted[0].id

    async def owe(self, target: str, **changes: Any) -> UUID:
        """Add a subscriber, owe it alone an event, and return the delivery's id."""
        theme = f"theme-{uuid4().hex}"
        somebody = await self.subscribe(target, wanted={"themes": [theme]})
        await self.plan(data=opportunity(themes=[theme], **changes))
        return (await self.of_subscription(somebody.id))[0]["id"]  # type: ignore[no-any-return]

    async def of_subscription(self, subscription_id: UUID) -> list[Row]:
        """Read what a subscription is or was owed, oldest first."""
        return await self.pool.fetch(
            "SELECT *, state::text AS state FROM deliveries WHERE subscription_id = $1 ORDER BY turn",
            subscription_id,
        )

    async def delivery(self, delivery_id: UUID) -> Row:
        """Read one delivery."""
        row = await self.pool.fetchrow(
            "SELECT *, state::text AS state FROM deliveries WHERE id = $1", delivery_id
        )
        assert row is not None
        return row

    async def attempts(self, delivery_id: UUID) -> list[Row]:
        """Read the attempts of a delivery, as they were recorded."""
        return await self.pool.fetch("SELECT * FROM attempts WHERE delivery_id = $1 ORDER BY id", delivery_id)

    async def until_state(self, delivery_id: UUID, *states: str) -> Row:
        """Wait until a delivery is in one of these states, through outages of the database."""

        return await eventually(
            lambda: self.delivery(delivery_id),
            lambda row: row["state"] in states,
            what=f"delivery {delivery_id} to be {states}",
        )

    async def until_states(self, subscription_id: UUID, *states: str) -> list[Row]:
        """Wait until a subscription's deliveries are in these states, one by one."""
        return await eventually(
            lambda: self.of_subscription(subscription_id),
            lambda rows: tuple(row["state"] for row in rows) == states,
            what=f"deliveries to be {states}",
        )

    async def claim(self, *, lease_seconds: float = 60.0, retries: int = 10) -> Sequence[Claim]:
        """Borrow what is due, as a dispatcher does that then says no more."""
        limits = Limits(
            total=10,
            retries=retries,
            lease_seconds=lease_seconds,
            room={},
            room_else=10,
            room_of_each={},
            room_of_each_else=10,
        )
        async with self.pool.acquire() as connection, connection.transaction():
            return await deliveries.claim(connection, "webhook", limits)

    async def end_lease(self, delivery_id: UUID) -> None:
        """Let the time of a lease be over."""
        past = utc_now() - timedelta(seconds=1)
        await self.pool.execute("UPDATE deliveries SET lease_until = $2 WHERE id = $1", delivery_id, past)


async def eventually(read: Callable[[], Awaitable[T]], right: Callable[[T], object], *, what: str) -> T:
    """Read again and again until what is read is right, through outages of the database; return it."""
    seen: list[T] = []

    async def look() -> bool:
        try:
            seen[:] = [await read()]
        except UNAVAILABLE:
            return False
        return bool(right(seen[0]))

    condition: Callable[[], Any] = look
    try:
        await until(condition, seconds=PATIENCE, what=what)
    except AssertionError as error:
        raise AssertionError(f"{error}; last seen: {seen}") from None
    return seen[0]


@asynccontextmanager
async def running(part: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> AsyncIterator[asyncio.Event]:
    """Run a part until the block ends; what it raises is raised."""
    stop = asyncio.Event()
    task = asyncio.create_task(part(stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await task


@asynccontextmanager
async def sending(
    pool: Pool, settings: Settings, *, channel: str = "webhook", sweep: bool = True
) -> AsyncIterator[asyncio.Event]:
    """Send on one channel as the dispatcher does, with its sweeper and its notifications."""
    spec = CHANNELS[channel]
    sender = Sender(
        spec.make(settings),
        spec.policy(settings),
        pool=pool,
        recorder=Recorder(pool, spec.breaker_policy(settings), judges_refusals=spec.judges_refusals),
        contents=Contents(),
        vault=Vault(settings),
    )

    async def parts(stop: asyncio.Event) -> None:
        sweeper = [run_sweeper(pool, settings, stop)] if sweep else []
        wake = listen(settings.database_url, "deliveries_owed", sender.wake, stop)
        await run_together(stop, sender.run(stop), wake, *sweeper)

    async with running(parts) as stop:
        yield stop
