"""The demonstration behind `omroeper up --demo`: example subscribers, a sample opportunity, shown live."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import services
from services.embedded.live import Live
from services.embedded.receivers import PATH, Receivers, failures_first
from services.embedded.up import LOOPBACK, Demo, Machine
from services.publisher.client import PublisherClient
from services.publisher.eforms import read_notice
from services.publisher.notices import notice_event
from services.runtime.settings import Settings
from services.runtime.waiting import until
from services.storage import queries
from services.subscribers.importing import import_rows, read_rows

EXAMPLES = Path(services.__file__).parents[1] / "examples"
_sql = queries.load(__file__)
_HOOK = re.compile(r"https://hooks\.incubator-([a-z0-9-]+)\.example/[^\s,;\"]*")
_START_SECONDS = 15.0
#: Minutes and hours are too long to watch.
_SHORT_SCHEDULE = "2s 3s 5s 10s 1m 5m 30m"


def demo_settings(settings: Settings) -> Settings:
    """Change what a demonstration needs otherwise: receivers on loopback, retries within seconds."""
    standard = Settings()
    networks = ",".join(filter(None, (settings.webhook_allow_networks, LOOPBACK)))
    webhook, email = settings.webhook_schedule, settings.email_schedule
    return replace(
        settings,
        webhook_allow_networks=networks,
        webhook_schedule=_SHORT_SCHEDULE if webhook == standard.webhook_schedule else webhook,
        email_schedule=_SHORT_SCHEDULE if email == standard.email_schedule else email,
    )


def make_demo() -> Demo:
    """Make the demo receivers, and mailboxes of which some are greylisting."""
    tries: dict[str, int] = {}

    def moods(address: str) -> str | None:
        tries[address] = tries.get(address, 0) + 1
        again = tries[address] <= failures_first(address)
        return "451 4.7.1 Greylisted, please try again" if again else None

    return Demo(Receivers(), moods)


async def show_demo(on: Machine, stop: asyncio.Event) -> None:
    """Import the examples, publish the next sample, and show what becomes of it until `stop`."""
    imported = await _import(on)
    live = Live(on)
    live.say(f"{imported} example subscriptions are there; the receivers and mails are on this machine.")
    await until(on.assigned.event, _START_SECONDS)
    events = await _owed(on)
    if events:
        live.say("Carrying on with what was owed when it was stopped last.")
    if published := await _publish_next(on):
        events.append(published)
    else:
        live.say("Every sample was published before. Publish your own: omroeper publish FILE")
    await live.run(events, stop)


async def _import(on: Machine) -> int:
    base = f"http://127.0.0.1:{on.settings.port}{PATH}"
    text = (EXAMPLES / "subscribers.csv").read_text("utf-8")
    rows = read_rows(_HOOK.sub(rf"{base}\1", text), on.settings.allowed_networks)
    async with on.pool.acquire() as connection:
        await connection.execute(_sql.move_hooks, base)
    await import_rows(on.pool, on.vault, rows, dry_run=False)
    return sum(row.subscription is not None for row in rows)


async def _owed(on: Machine) -> list[UUID]:
    async with on.pool.acquire() as connection:
        return [row["event_id"] for row in await connection.fetch(_sql.owed)]


async def _publish_next(on: Machine) -> UUID | None:
    """Publish the first sample that was not published yet, by the way everybody publishes."""
    url = f"http://127.0.0.1:{on.settings.port}"
    async with PublisherClient(url, on.settings.api_key) as client:
        for sample in _samples(on.settings.event_source):
            published = await client.publish(sample)
            if published.status == "accepted":
                return UUID(published.id)
    return None


def _samples(source: str) -> Sequence[dict[str, Any]]:
    paths = sorted((EXAMPLES / "opportunities").glob("*.xml"))
    return [notice_event(read_notice(path.read_bytes()), source) for path in paths]
