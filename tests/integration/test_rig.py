"""The rig itself: what the other tests stand on is real, and fails when it is told to."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from email.message import EmailMessage
from uuid import uuid4

import aiohttp
import aiosmtplib
import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.runtime.database import UNAVAILABLE, Pool
from tests.rig.kafka import KafkaServer
from tests.rig.postgres import PostgresServer, socket_of, through
from tests.rig.process import Process
from tests.rig.proxy import Proxy
from tests.rig.receiver import DROP, HANG, Receiver, Reply
from tests.rig.smtp import DROP as HANG_UP
from tests.rig.smtp import SmtpServer
from tests.rig.waiting import until


async def _produce(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    async with producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def _consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=f"group-{uuid4().hex}", auto_offset_reset="earliest"
    )
    async with consumer, asyncio.timeout(30):
        return [(await consumer.getone()).value for _ in range(count)]


async def _make_topic(bootstrap: str) -> str:
    topic = f"topic-{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()
    return topic


@pytest.mark.kafka
async def test_kafka_keeps_what_it_is_given_in_order(kafka: str) -> None:
    topic = await _make_topic(kafka)
    await _produce(kafka, topic, b"one", b"two")
    assert await _consume(kafka, topic, 2) == [b"one", b"two"]


@pytest.mark.kafka
@pytest.mark.chaos
async def test_a_killed_kafka_comes_back_with_its_data(own_kafka: Callable[[], KafkaServer]) -> None:
    server = await asyncio.to_thread(own_kafka)
    topic = await _make_topic(server.bootstrap)
    await _produce(server.bootstrap, topic, b"kept")
    address = server.bootstrap
    server.kill()
    await asyncio.to_thread(server.restart)
    assert server.bootstrap == address
    assert await _consume(server.bootstrap, topic, 1) == [b"kept"]


_ADD_KEY = "INSERT INTO api_keys (name, hash, scopes) VALUES ('mine', 'x', '{read}')"


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_test_has_a_database_of_its_own(pool: Pool, turn: int) -> None:
    assert await pool.fetchval("SELECT count(*) FROM api_keys") == 0
    await pool.execute(_ADD_KEY)
    assert await pool.fetchval("SELECT count(*) FROM api_keys") == 1


async def test_commits_are_flushed_to_disk(pool: Pool) -> None:
    assert await pool.fetchval("SHOW fsync") == "on"
    assert await pool.fetchval("SHOW synchronous_commit") == "on"


@pytest.mark.chaos
async def test_a_postgres_that_was_stopped_comes_back_with_its_data(
    own_postgres: Callable[[], PostgresServer],
) -> None:
    server = await asyncio.to_thread(own_postgres)
    dsn = server.dsn
    connection = await asyncpg.connect(dsn)
    await connection.execute(_ADD_KEY)
    await asyncio.to_thread(server.stop)
    with pytest.raises(UNAVAILABLE):
        await connection.fetchval("SELECT 1")
    with pytest.raises(UNAVAILABLE):
        await asyncpg.connect(dsn, timeout=5)
    await asyncio.to_thread(server.start)
    assert server.dsn == dsn
    again = await asyncpg.connect(dsn)
    assert await again.fetchval("SELECT count(*) FROM api_keys") == 1
    await again.close()


async def test_a_proxy_cuts_freezes_and_heals(database_url: str) -> None:
    async with Proxy(socket_of(database_url)) as proxy:
        dsn = through(database_url, proxy.port)
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT 1") == 1
        proxy.freeze()
        with pytest.raises(TimeoutError):
            await connection.fetchval("SELECT 1", timeout=0.2)
        await proxy.cut()
        assert connection.is_closed() or proxy.connections == 0
        with pytest.raises(OSError):  # noqa: PT011  # which one depends on the system
            await asyncpg.connect(dsn, timeout=5)
        await proxy.heal()
        again = await asyncpg.connect(dsn)
        assert await again.fetchval("SELECT 2") == 2
        await again.close()


def _mail() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@one.example", "b@two.example", "Één"
    message.set_content("Dag")
    return message


async def _send(server: SmtpServer) -> None:
    port = int(server.url.rpartition(":")[2])
    await aiosmtplib.send(_mail(), hostname="127.0.0.1", port=port, start_tls=False, timeout=5)


async def test_smtp_answers_as_it_is_told() -> None:
    async with SmtpServer() as smtp:
        await _send(smtp)
        (mail,) = await smtp.wait_for(1)
        assert (mail.sender, mail.recipients) == ("a@one.example", ("b@two.example",))
        assert mail.message["Subject"] == "Één"
        smtp.answer = lambda envelope: "451 4.7.1 greylisted"
        with pytest.raises(aiosmtplib.SMTPDataError, match="greylisted"):
            await _send(smtp)
        smtp.answer_recipient = lambda address: "550 5.1.1 nobody"
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await _send(smtp)
        assert len(smtp.mails) == 1


async def test_smtp_hangs_up_stops_and_comes_back() -> None:
    async with SmtpServer() as smtp:
        smtp.answer = lambda envelope: HANG_UP
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await _send(smtp)
        await smtp.stop()
        with pytest.raises(aiosmtplib.SMTPConnectError):
            await _send(smtp)
        smtp.answer = lambda envelope: "250 OK"
        await smtp.start()
        await _send(smtp)
        assert len(smtp.mails) == 1


async def _post(receiver: Receiver, path: str, webhook_id: str = "x") -> int:
    limit = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=limit) as session:
        headers = {"webhook-id": webhook_id}
        async with session.post(receiver.url(path), data=b"body", headers=headers) as response:
            return response.status


async def test_a_receiver_fails_first_and_then_takes_it() -> None:
    async with Receiver() as receiver:
        receiver.on("/a", 503, Reply(429, {"Retry-After": "7"}), 200)
        assert [await _post(receiver, "/a", "one") for _ in range(4)] == [503, 429, 200, 200]
        assert await _post(receiver, "/b", "two") == 200
        assert receiver.ids("/a") == {"one": 4}
        assert receiver.ids() == {"one": 4, "two": 1}
        assert (await receiver.wait_for(1, path="/b"))[0].body == b"body"


async def test_a_receiver_hangs_or_hangs_up() -> None:
    async with Receiver() as receiver, AsyncExitStack() as stack:
        receiver.on("/drop", DROP)
        receiver.on("/hang", HANG)
        with pytest.raises(aiohttp.ClientConnectionError):
            await _post(receiver, "/drop")
        hanging = asyncio.create_task(_post(receiver, "/hang"))
        stack.callback(hanging.cancel)
        await receiver.wait_for(1, path="/hang")
        assert not hanging.done()
        await receiver.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await hanging
        await receiver.start()
        assert await _post(receiver, "/ok") == 200


async def test_a_wait_in_vain_says_for_what() -> None:
    with pytest.raises(AssertionError, match="in vain for rain"):
        await until(lambda: False, seconds=0.05, what="rain")


async def test_a_process_tells_what_it_says_and_how_it_ended(omroeper: Callable[..., Process]) -> None:
    process = omroeper("--no-such-option")
    assert process.wait() == 2
    assert "--no-such-option" in await process.wait_for_line("no-such-option")
