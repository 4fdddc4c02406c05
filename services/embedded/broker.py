"""librdkafka's in-process broker, for one machine: it speaks Kafka's protocol and keeps nothing.

The database feeds it again after a restart (`events.relay_now`), so nothing depends on its memory.
Source: librdkafka CONFIGURATION.md, `test.mock.num.brokers`; docs/decisions/0004-embedded-parts.md.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from confluent_kafka import Producer

from services.runtime.settings import ConfigError, Settings

_START_SECONDS = 10.0


@asynccontextmanager
async def embedded_broker(settings: Settings) -> AsyncIterator[str]:
    """Run a broker in this process, with our topics; give its address."""
    broker = Producer({"bootstrap.servers": "embedded", "test.mock.num.brokers": 1, "log_level": 0})
    cluster = await asyncio.to_thread(broker.list_topics, timeout=_START_SECONDS)
    addresses = [f"{node.host}:{node.port}" for node in cluster.brokers.values()]
    if not addresses:
        raise ConfigError("the embedded broker did not start; set OMROEPER_KAFKA_BOOTSTRAP_SERVERS")
    for topic in (settings.events_topic, settings.status_topic):
        # asking for a topic makes it
        await asyncio.to_thread(broker.list_topics, topic, timeout=_START_SECONDS)
    yield ",".join(addresses)
    del broker
