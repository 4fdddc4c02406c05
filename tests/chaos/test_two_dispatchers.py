"""Two dispatchers share the work; when one is killed, the other does all of it."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from services.dispatcher.pace import FIRST_OF_HOST
from services.runtime.database import Pool
from tests.chaos.stage import (
    PATIENCE,
    Ledger,
    Run,
    Service,
    environment,
    events,
    publish,
    receipts,
    repeated,
    subscribe,
)
from tests.rig.receiver import Receiver, Reply

pytestmark = [pytest.mark.chaos, pytest.mark.kafka]
HOOKS, EVENTS = 30, 10


async def test_each_delivery_is_received_once_and_either_dispatcher_takes_over_from_the_other(
    kafka: str, pool: Pool, database_url: str, omroeper: Run
) -> None:
    env, ledger = environment(database_url=database_url, kafka_bootstrap_servers=kafka), Ledger(pool)
    async with Receiver() as receiver:
        targets = await subscribe(pool, (receiver.url(f"/{number}") for number in range(HOOKS)))
        publisher = Service(omroeper, env, "serve", "publisher")
        dispatchers = [Service(omroeper, env, "serve", "dispatcher") for _ in range(2)]
        for service in (publisher, *dispatchers):
            await service.ready()
        given = events(EVENTS * 3)
        both_at_work = asyncio.Event()
        _hold_back(receiver, both_at_work)
        await publish(publisher, given[:EVENTS])
        await receiver.wait_for(FIRST_OF_HOST + 1, seconds=PATIENCE)  # more than one of them may have
        both_at_work.set()
        await ledger.until_sent(EVENTS * HOOKS)
        assert not repeated(receipts([receiver]))

        in_flight = set()
        for number, victim in enumerate(dispatchers, start=1):
            batch = given[number * EVENTS : (number + 1) * EVENTS]
            in_flight |= await _killed_in_the_middle(receiver, publisher, victim, batch, ledger)
            await ledger.until_sent((number + 1) * EVENTS * HOOKS)
            victim.start()
            await victim.ready()
        arrived = receipts([receiver])
        await ledger.check(arrived, given, targets)
        assert repeated(arrived).keys() <= in_flight
        assert set(repeated(arrived).values()) <= {1}
        assert [service.process.stop() for service in (publisher, *dispatchers)] == [0, 0, 0]


def _hold_back(receiver: Receiver, until: asyncio.Event) -> None:
    for number in range(HOOKS):
        receiver.on(f"/{number}", Reply(200, after=until))


async def _killed_in_the_middle(
    receiver: Receiver,
    publisher: Service,
    victim: Service,
    batch: Sequence[dict[str, object]],
    ledger: Ledger,
) -> set[UUID]:
    """Kill a dispatcher while it and the other are sending; return what was in flight."""
    killed, before = asyncio.Event(), len(receiver.requests)
    _hold_back(receiver, killed)
    await publish(publisher, batch)
    await receiver.wait_for(before + FIRST_OF_HOST, seconds=PATIENCE)
    victim.kill()
    in_flight = await ledger.in_flight()
    killed.set()
    return in_flight
