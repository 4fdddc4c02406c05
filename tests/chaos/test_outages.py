"""PostgreSQL, Kafka and the mail relay go away and come back; none of our processes is started again."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

import pytest

from services.runtime.database import Pool, open_pool
from tests.chaos.stage import (
    NOWHERE,
    PATIENCE,
    Event,
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
from tests.rig.kafka import KafkaServer
from tests.rig.postgres import PostgresServer
from tests.rig.receiver import Receiver, Reply
from tests.rig.smtp import SmtpServer

pytestmark = [pytest.mark.chaos, pytest.mark.kafka]
HOOKS = 20


@dataclass(frozen=True)
class Flow:
    """Publisher and dispatcher, that must live through what happens to the parts they lean on."""

    publisher: Service
    dispatcher: Service
    ledger: Ledger

    @classmethod
    async def start(cls, run: Run, pool: Pool, **settings: Any) -> Self:
        """Start both, and wait until they are at work."""
        env = environment(**settings)
        flow = cls(
            Service(run, env, "serve", "publisher"), Service(run, env, "serve", "dispatcher"), Ledger(pool)
        )
        await flow.dispatcher.process.wait_for_line("planner reads", seconds=PATIENCE)
        await flow.ready()
        return flow

    async def ready(self) -> None:
        """Wait until both say that they can work."""
        await self.publisher.ready()
        await self.dispatcher.ready()

    def stop(self) -> None:
        """Check that both are alive, and stop them."""
        assert (self.publisher.process.exit_code, self.dispatcher.process.exit_code) == (None, None)
        assert [self.publisher.process.stop(), self.dispatcher.process.stop()] == [0, 0]


async def test_postgres_goes_away_in_the_middle_and_nothing_is_lost_or_repeated(
    own_postgres: Callable[[], PostgresServer], kafka: str, omroeper: Run
) -> None:
    postgres = await asyncio.to_thread(own_postgres)
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver())
        pool = await stack.enter_async_context(open_pool(postgres.dsn))
        answer = asyncio.Event()
        for number in range(HOOKS):
            receiver.on(f"/{number}", Reply(200, after=answer))
        targets = await subscribe(pool, (receiver.url(f"/{number}") for number in range(HOOKS)))
        flow = await Flow.start(
            omroeper, pool, database_url=postgres.dsn, kafka_bootstrap_servers=kafka, smtp_url=NOWHERE
        )
        given = events(10)
        await publish(flow.publisher, given[:5])
        await receiver.wait_for(5, seconds=PATIENCE)
        await asyncio.to_thread(postgres.stop)
        answer.set()  # what was being sent ends while nobody can write that down
        for service in (flow.publisher, flow.dispatcher):
            assert "database" in str(await service.not_ready())
        await flow.dispatcher.process.wait_for_line("outcomes wait for the database", seconds=PATIENCE)
        later = asyncio.create_task(publish(flow.publisher, given[5:]))
        await asyncio.to_thread(postgres.start)
        await later
        await flow.ready()
        await flow.ledger.until_sent(len(given) * HOOKS)
        arrived = receipts([receiver])
        await flow.ledger.check(arrived, given, targets)
        assert not repeated(arrived)
        flow.stop()


async def test_kafka_is_killed_in_the_middle_and_the_publisher_still_accepts(
    own_kafka: Callable[[], KafkaServer], pool: Pool, database_url: str, omroeper: Run
) -> None:
    broker = await asyncio.to_thread(own_kafka)
    async with Receiver() as receiver:
        answer = asyncio.Event()
        for number in range(HOOKS):
            receiver.on(f"/{number}", Reply(200, after=answer))
        targets = await subscribe(pool, (receiver.url(f"/{number}") for number in range(HOOKS)))
        flow = await Flow.start(
            omroeper, pool, database_url=database_url, kafka_bootstrap_servers=broker.bootstrap
        )
        given = events(15)
        await publish(flow.publisher, given[:5])
        await receiver.wait_for(5, seconds=PATIENCE)
        await publish(flow.publisher, given[5:10])
        await asyncio.to_thread(broker.kill)
        await _accepted_without_kafka(flow, given[10:])
        answer.set()  # what Kafka has handed over is sent without it
        await receiver.wait_for(5 * HOOKS, seconds=PATIENCE)
        await asyncio.to_thread(broker.start)
        await flow.ledger.until_sent(len(given) * HOOKS)
        arrived = receipts([receiver])
        await flow.ledger.check(arrived, given, targets)
        assert not repeated(arrived)
        flow.stop()


async def _accepted_without_kafka(flow: Flow, given: list[Event]) -> None:
    ids = await publish(flow.publisher, given)
    assert (await flow.publisher.look("/readyz"))[0] == 200
    for event_id in ids:
        status, body = await flow.publisher.look(f"/v1/events/{event_id}")
        assert (status, body["planned_at"], body["matched"]) == (200, None, 0)


async def test_the_mail_relay_goes_away_in_the_middle_and_webhooks_do_not_notice(
    kafka: str, pool: Pool, database_url: str, omroeper: Run
) -> None:
    async with Receiver() as receiver, SmtpServer() as mail:
        boxes = [f"info@incubator-{number}.example" for number in range(HOOKS)]
        hooks = [receiver.url(f"/{number}") for number in range(HOOKS)]
        targets = await subscribe(pool, boxes + hooks)
        flow = await Flow.start(
            omroeper, pool, database_url=database_url, kafka_bootstrap_servers=kafka, smtp_url=mail.url
        )
        given = events(10)
        await publish(flow.publisher, given[:5])
        await mail.wait_for(5, seconds=PATIENCE)
        await mail.stop()
        await publish(flow.publisher, given[5:])
        await receiver.wait_for(len(given) * HOOKS, seconds=PATIENCE)
        assert (await flow.dispatcher.look("/readyz"))[0] == 200
        assert len(mail.mails) < len(given) * HOOKS
        await mail.start()
        await flow.ledger.until_sent(len(given) * HOOKS * 2)
        arrived = receipts([receiver], mail)
        await flow.ledger.check(arrived, given, targets)
        assert not repeated(receipts([receiver]))
        flow.stop()
