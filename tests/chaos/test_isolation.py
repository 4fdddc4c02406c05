"""Nobody waits for somebody else: receivers that never answer, and a fan-out in front of a small event."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from services.runtime.database import Pool
from tests.chaos.stage import (
    PATIENCE,
    Event,
    Ledger,
    Run,
    Service,
    environment,
    events,
    eventually,
    publish,
    receipts,
    repeated,
    subscribe,
)
from tests.rig.receiver import Receiver, Reply

pytestmark = [pytest.mark.chaos, pytest.mark.kafka]
HOOKS, DEAD = 30, 3
FAN_OUT, FEW = 5_000, 5
SLOTS = 20


async def test_three_dead_hosts_do_not_delay_the_other_27(
    kafka: str, pool: Pool, database_url: str, omroeper: Run
) -> None:
    async with AsyncExitStack() as stack:
        receivers = [await stack.enter_async_context(Receiver()) for _ in range(HOOKS)]
        places = [(receiver, "/") for receiver in receivers]
        env = _environment(kafka, database_url)
        await _three_hang(pool, omroeper, env, places, events(8))


async def test_three_dead_paths_do_not_delay_the_other_27_of_their_host(
    kafka: str, pool: Pool, database_url: str, omroeper: Run
) -> None:
    async with Receiver() as receiver:
        places = [(receiver, f"/{number}") for number in range(HOOKS)]
        env = _environment(kafka, database_url)
        await _three_hang(pool, omroeper, env, places, events(16))


def _environment(kafka: str, database_url: str, **settings: object) -> dict[str, str]:
    # as long as the test, so that it is not a time limit that sets the others free
    patience = {"webhook_timeout_seconds": 300}
    return environment(kafka_bootstrap_servers=kafka, database_url=database_url, **patience, **settings)


async def _three_hang(
    pool: Pool, run: Run, env: dict[str, str], places: Sequence[tuple[Receiver, str]], given: Sequence[Event]
) -> None:
    """Publish to these places, of which the first three hang until all the others have been told."""
    released, ledger = asyncio.Event(), Ledger(pool)
    for receiver, path in places[:DEAD]:
        receiver.on(path, Reply(200, after=released))
    urls = [receiver.url(path) for receiver, path in places]
    # the dead ones first: their turn comes before that of all others
    targets = await subscribe(pool, urls[:DEAD]) + await subscribe(pool, urls[DEAD:])
    publisher, dispatcher = Service(run, env, "serve", "publisher"), Service(run, env, "serve", "dispatcher")
    await publisher.ready()
    await publish(publisher, given)
    alive, dead = set(urls[DEAD:]), set(urls[:DEAD])

    async def all_others_sent() -> bool:
        sent = [row["target"] for row in await ledger.owed() if row["state"] == "sent"]
        assert not dead & set(sent)
        return len(sent) == len(alive) * len(given)

    await eventually(all_others_sent, "all that can be told to be told")
    told = [r for r in receipts({receiver for receiver, _ in places}) if r.target in alive]
    assert len(told) == len({r.delivery for r in told}) == len(alive) * len(given)
    released.set()
    await ledger.until_sent(len(targets) * len(given))
    arrived = receipts({receiver for receiver, _ in places})
    await ledger.check(arrived, given, targets)
    assert not repeated(arrived)
    assert [publisher.process.stop(), dispatcher.process.stop()] == [0, 0]


async def test_a_fan_out_to_5000_does_not_starve_a_small_event_that_comes_after_it(
    kafka: str, pool: Pool, database_url: str, omroeper: Run
) -> None:
    begin, ledger = asyncio.Event(), Ledger(pool)
    async with Receiver() as receiver:
        many = [receiver.url(f"/many/{number}") for number in range(FAN_OUT)]
        few = [receiver.url(f"/few/{number}") for number in range(FEW)]
        for number in range(FAN_OUT):
            receiver.on(f"/many/{number}", Reply(200, after=begin))
        await subscribe(pool, many, themes=["groot"])
        await subscribe(pool, few, themes=["klein"])
        env = _environment(kafka, database_url, webhook_slots=SLOTS)
        publisher = Service(omroeper, env, "serve", "publisher")
        dispatcher = Service(omroeper, env, "serve", "dispatcher")
        await publisher.ready()
        (large,), (small,) = events(1, themes=["groot"]), events(1, themes=["klein"])
        await publish(publisher, [large])
        await receiver.wait_for(1, seconds=PATIENCE)
        (small_id,) = await publish(publisher, [small])
        await eventually(lambda: _planned(publisher, small_id), "the small event's plan")
        begin.set()  # only now is there a queue to stand in
        await ledger.until_sent(FAN_OUT + FEW)
        order = [request.path.startswith("/few/") for request in receiver.requests]
        assert (order.count(True), order.count(False)) == (FEW, FAN_OUT)
        last_of_few = len(order) - 1 - order[::-1].index(True)
        before = await pool.fetchval(
            """SELECT count(*) FROM deliveries WHERE turn <
               (SELECT max(turn) FROM deliveries d JOIN subscriptions s ON s.id = d.subscription_id
                WHERE position('/few/' IN s.target) > 0)"""
        )
        assert last_of_few <= before + 2 * SLOTS
        assert before < FAN_OUT
        assert not repeated(receipts([receiver]))
        assert [publisher.process.stop(), dispatcher.process.stop()] == [0, 0]


async def _planned(publisher: Service, event_id: str) -> bool:
    status, body = await publisher.look(f"/v1/events/{event_id}")
    return status == 200 and body["planned_at"] is not None
