"""2,000 deliveries, while the dispatcher, the publisher and the broker are killed at random points."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

import pytest
from confluent_kafka import Producer

from services.domain.cloudevents import to_kafka
from services.domain.event import parse_cloudevent
from services.publisher.client import PublisherClient
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
    receipts,
    repeated,
    subject_of,
    subscribe,
)
from tests.rig.kafka import KafkaServer
from tests.rig.receiver import Receiver
from tests.rig.smtp import SmtpServer
from tests.rig.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.kafka]

EVENTS, WEBHOOKS, MAILBOXES = 50, 30, 10
PER_EVENT = WEBHOOKS + MAILBOXES
DELIVERIES = EVENTS * PER_EVENT
WEBHOOK_SLOTS, MAIL_SLOTS = 40, 8
KILLS_OF_DISPATCHER, KILLS_OF_PUBLISHER, KILLS_OF_BROKER = 3, 3, 3
#: So many events are published ahead of what has arrived, so that the kills meet all of the way.
AHEAD = 10
PUBLISHING_AT_ONCE = 4


@dataclass
class Storm:
    """One run of the test: what is published, and who is killed when."""

    chance: random.Random
    topic: str
    broker: KafkaServer
    publisher: Service
    dispatcher: Service
    ledger: Ledger
    arrived: Callable[[], int]
    accepted: dict[str, str] = field(default_factory=dict)
    in_flight: list[set[UUID]] = field(default_factory=list)

    async def publish(self, given: Sequence[Event]) -> None:
        """Publish each event, every fifth on the topic itself; kill the publisher after some answers."""
        kills = set(self.chance.sample(range(4, EVENTS * 4 // 5 - 4), KILLS_OF_PUBLISHER))
        numbered, producer = iter(enumerate(given)), _producer(self.broker.bootstrap)
        async with self.publisher.publishing() as client:
            worker = (
                self._publish_some(numbered, client, producer, kills) for _ in range(PUBLISHING_AT_ONCE)
            )
            await asyncio.gather(*worker)
        await asyncio.to_thread(producer.flush, PATIENCE)

    async def _publish_some(
        self,
        numbered: Iterator[tuple[int, Event]],
        client: PublisherClient,
        producer: Producer,
        kills: set[int],
    ) -> None:
        for number, event in numbered:
            await self.until_arrived((number - AHEAD) * PER_EVENT)
            if number % 5 == 4:
                _produce(producer, self.topic, event)
                continue
            self.accepted[subject_of(event)] = (await client.publish(event)).id
            if len(self.accepted) in kills:
                self.publisher.kill()
                self.publisher.start()

    async def kill_dispatcher(self) -> None:
        """Kill the dispatcher at random points, and note what it had in flight."""
        for point in self._points(KILLS_OF_DISPATCHER):
            await self.until_arrived(point)
            self.dispatcher.kill()
            self.in_flight.append(await self.ledger.in_flight())
            self.dispatcher.start()

    async def kill_broker(self) -> None:
        """Kill the broker at random points."""
        for point in self._points(KILLS_OF_BROKER):
            await self.until_arrived(point)
            await asyncio.to_thread(self.broker.kill)
            await asyncio.to_thread(self.broker.start)

    def _points(self, count: int) -> list[int]:
        return sorted(self.chance.sample(range(DELIVERIES // 20, DELIVERIES * 9 // 10), count))

    async def until_arrived(self, count: int) -> None:
        """Wait until so many deliveries have arrived, repeats included."""
        await until(lambda: self.arrived() >= count, seconds=PATIENCE, what=f"{count} deliveries to arrive")


def _producer(bootstrap: str) -> Producer:
    return Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0})


def _produce(producer: Producer, topic: str, event: Event) -> None:
    key, value, headers = to_kafka(parse_cloudevent(event))
    producer.produce(topic, value, key, headers=dict(headers))
    producer.poll(0)


async def test_kills_lose_nothing_and_repeat_only_what_was_in_flight(
    own_kafka: Callable[[], KafkaServer], pool: Pool, database_url: str, omroeper: Run
) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(2**32))
    print(f"CHAOS_SEED={seed}")
    broker, ledger = await asyncio.to_thread(own_kafka), Ledger(pool)
    async with Receiver() as receiver, SmtpServer() as mail:
        env = environment(
            database_url=database_url,
            kafka_bootstrap_servers=broker.bootstrap,
            smtp_url=mail.url,
            smtp_connections=MAIL_SLOTS,
            webhook_slots=WEBHOOK_SLOTS,
        )
        hooks = [receiver.url(f"/{number}") for number in range(WEBHOOKS)]
        boxes = [f"info@incubator-{number}.example" for number in range(MAILBOXES)]
        targets = await subscribe(pool, hooks + boxes)
        storm = Storm(
            random.Random(seed),
            env["OMROEPER_EVENTS_TOPIC"],
            broker,
            Service(omroeper, env, "serve", "publisher"),
            Service(omroeper, env, "serve", "dispatcher"),
            ledger,
            lambda: len(receiver.requests) + len(mail.mails),
        )
        await storm.dispatcher.process.wait_for_line("planner reads", seconds=PATIENCE)
        await storm.publisher.ready()
        given = events(EVENTS)
        await asyncio.gather(storm.publish(given), storm.kill_dispatcher(), storm.kill_broker())
        await ledger.until_sent(DELIVERIES)
        arrived = receipts([receiver], mail)
        await ledger.check(arrived, given, targets)
        await _check_what_the_api_says(storm)
        _check_repeats(repeated(arrived), storm.in_flight, await ledger.lost_leases())
        assert [storm.publisher.process.stop(), storm.dispatcher.process.stop()] == [0, 0]


async def test_what_is_being_planned_at_a_kill_is_planned_by_the_next_dispatcher(
    kafka: str, pool: Pool, database_url: str, omroeper: Run
) -> None:
    env, ledger = environment(database_url=database_url, kafka_bootstrap_servers=kafka), Ledger(pool)
    async with Receiver() as receiver:
        targets = await subscribe(pool, [receiver.url("/1"), receiver.url("/2")])
        dispatcher, given = Service(omroeper, env, "serve", "dispatcher"), events(5)
        await dispatcher.process.wait_for_line("planner reads", seconds=PATIENCE)
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE deliveries IN SHARE MODE")
            producer = _producer(kafka)
            for event in given:
                _produce(producer, env["OMROEPER_EVENTS_TOPIC"], event)
            await asyncio.to_thread(producer.flush, PATIENCE)
            await eventually(lambda: _is_planning(pool), "the planner to meet the lock")
            dispatcher.kill()
        # Kafka alone remembers them
        assert await pool.fetchval("SELECT count(*) FROM events") == 0
        dispatcher.start()
        await ledger.until_sent(len(given) * len(targets))
        arrived = receipts([receiver])
        await ledger.check(arrived, given, targets)
        assert not repeated(arrived)


async def _is_planning(pool: Pool) -> bool:
    held_up = await pool.fetchval(
        """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
           AND wait_event_type = 'Lock' AND position('told AS (' IN query) > 0"""
    )
    return bool(held_up)


async def _check_what_the_api_says(storm: Storm) -> None:
    for event_id in storm.accepted.values():
        status, body = await storm.publisher.look(f"/v1/events/{event_id}")
        assert (status, body["matched"], body["states"]) == (200, PER_EVENT, {"sent": PER_EVENT})


def _check_repeats(again: Counter[UUID], in_flight: Sequence[set[UUID]], lost_leases: set[UUID]) -> None:
    print(f"repeated: {again.total()}; in flight at the kills: {[len(some) for some in in_flight]}")
    times = Counter(delivery for some in in_flight for delivery in some)
    assert again <= times
    assert again.keys() <= lost_leases
    # what the last life left behind is still under its lease when the next one is killed soon
    lives = [some - left for left, some in pairwise([set(), *in_flight])]
    assert max(len(life) for life in lives) <= WEBHOOK_SLOTS + 2 * MAIL_SLOTS
