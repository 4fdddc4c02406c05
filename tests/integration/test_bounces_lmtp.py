"""Bounces come in by LMTP, over the wire, and whoever hands them in learns nothing of it."""

import asyncio
import logging
import smtplib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from services.domain.verp import envelope_sender, token_of
from services.runtime.database import Pool, open_pool
from services.runtime.settings import ConfigError, Settings, read_settings
from services.subscribers.service import run_lmtp
from tests.integration.bouncing import mails
from tests.integration.owing import Books, eventually, running, sending, settings_for
from tests.rig import returned
from tests.rig.postgres import socket_of, through
from tests.rig.process import Process, free_port
from tests.rig.proxy import Proxy
from tests.rig.smtp import SmtpServer
from tests.rig.waiting import until


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings with LMTP on a port of this test."""
    return settings_for(database_url, lmtp_listen=f"127.0.0.1:{free_port()}")


@pytest.fixture
async def lmtp(pool: Pool, settings: Settings) -> AsyncIterator[Settings]:
    """Our LMTP server, running."""
    async with running(lambda stop: run_lmtp(pool, settings, stop)):
        await listening(settings)
        yield settings


async def listening(settings: Settings) -> None:
    """Wait until it can be connected to."""

    def connects() -> bool:
        assert settings.lmtp_address is not None
        with socket.socket() as probe:
            return probe.connect_ex(settings.lmtp_address) == 0

    await until(connects, what="LMTP to listen")


async def hand_in(settings: Settings, raw: bytes, *recipients: str) -> dict[str, tuple[int, bytes]]:
    """Hand a message in as a mail server does; give who was refused."""
    return await asyncio.to_thread(_hand_in, settings, raw, recipients)


def _hand_in(settings: Settings, raw: bytes, recipients: tuple[str, ...]) -> dict[str, tuple[int, bytes]]:
    assert settings.lmtp_address is not None
    with smtplib.LMTP(*settings.lmtp_address) as client:
        return client.sendmail("", recipients, raw)


async def test_a_mail_that_is_sent_and_bounces_suppresses_its_subscription(
    pool: Pool, lmtp: Settings
) -> None:
    async with SmtpServer() as relay:
        settings = settings_for(lmtp.database_url, smtp_url=relay.url)
        somebody = await mails(Books(pool, settings))
        delivery = (await somebody.owe())["id"]
        async with sending(pool, settings, channel="email"):
            (mail,) = await relay.wait_for(1, seconds=60)
            token = token_of(mail.sender)
            assert token is not None
            await hand_in(lmtp, returned.postfix(token), mail.sender)
            await Books(pool, settings).until_state(delivery, "sent")
    assert await somebody.status() == ("disabled", "bounced")
    assert await somebody.receipts() == [("hard", "5.1.1")]


async def test_a_complaint_to_any_address_of_ours_is_traced(pool: Pool, lmtp: Settings) -> None:
    somebody = await mails(Books(pool, lmtp))
    delivery = await somebody.sent()
    await hand_in(lmtp, returned.complaint(delivery.hex), "fbl@opdrachten.example")
    assert await somebody.status() == ("disabled", "complained")


@pytest.mark.parametrize(
    "raw",
    [returned.postfix(), returned.complaint(), b"Hallo\r\n", b"", b"\x00\xff" * 500],
    ids=["unknown", "unknown complaint", "no report", "empty", "bytes"],
)
async def test_what_is_about_nothing_of_ours_is_accepted_all_the_same(
    pool: Pool, lmtp: Settings, raw: bytes
) -> None:
    for recipient in (
        envelope_sender(returned.TOKEN, returned.DOMAIN),
        "info@opdrachten.example",
    ):
        assert await hand_in(lmtp, raw, recipient) == {}
    assert await pool.fetchval("SELECT count(*) FROM receipts") == 0


async def test_a_message_with_lines_longer_than_mail_may_have_is_read(pool: Pool, lmtp: Settings) -> None:
    somebody = await mails(Books(pool, lmtp))
    delivery = await somebody.sent()
    raw = returned.postfix(delivery.hex) + b"x" * 20_000 + b"\r\n"
    assert await hand_in(lmtp, raw, "bounces@opdrachten.example") == {}
    assert len(await somebody.receipts()) == 1


async def test_a_message_beyond_the_limit_is_refused(lmtp: Settings) -> None:
    assert lmtp.lmtp_address is not None
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        await hand_in(lmtp, b"x" * 70 + b"\r\n" + (b"x" * 70 + b"\r\n") * 20_000, "info@opdrachten.example")
    assert refused.value.smtp_code == 552
    assert await hand_in(lmtp, b"Hallo\r\n", "info@opdrachten.example") == {}


async def test_a_second_recipient_is_asked_to_come_later(lmtp: Settings) -> None:
    refused = await hand_in(lmtp, b"Hallo\r\n", "one@opdrachten.example", "two@opdrachten.example")
    assert {address: answer[0] for address, answer in refused.items()} == {"two@opdrachten.example": 452}


async def test_more_connections_than_any_mail_server_needs_are_cut(lmtp: Settings) -> None:
    assert lmtp.lmtp_address is not None
    opened = [await asyncio.open_connection(*lmtp.lmtp_address) for _ in range(50)]
    for reader, _ in opened:
        assert (await reader.readline()).startswith(b"220")
    reader, writer = await asyncio.open_connection(*lmtp.lmtp_address)
    with suppress(ConnectionResetError):
        assert await reader.readline() == b""
    for _, other in [*opened[:10], (reader, writer)]:
        other.close()
    await eventually(lambda: _accepts(lmtp), bool, what="a connection to be free")
    for _, other in opened[10:]:
        other.close()


async def _accepts(settings: Settings) -> bool:
    try:
        return await hand_in(settings, b"Hallo\r\n", "info@opdrachten.example") == {}
    except (smtplib.SMTPException, OSError):
        return False


async def test_what_cannot_be_kept_now_is_to_be_brought_again(pool: Pool, database_url: str) -> None:
    somebody = await mails(Books(pool, settings_for(database_url)))
    raw = returned.postfix((await somebody.sent()).hex)
    async with Proxy(socket_of(database_url)) as proxy:
        far = through(database_url, proxy.port)
        settings = settings_for(far, lmtp_listen=f"127.0.0.1:{free_port()}")
        async with open_pool(far) as theirs, running(lambda stop: run_lmtp(theirs, settings, stop)):
            await listening(settings)
            await proxy.cut()
            with pytest.raises(smtplib.SMTPDataError) as refused:
                await hand_in(settings, raw, "info@opdrachten.example")
            assert refused.value.smtp_code == 451
            assert await somebody.receipts() == []
            await proxy.heal()
            await eventually(lambda: _handed_in(settings, raw), bool, what="the bounce to be kept")
    assert len(await somebody.receipts()) == 1


async def _handed_in(settings: Settings, raw: bytes) -> bool:
    try:
        return await hand_in(settings, raw, "info@opdrachten.example") == {}
    except smtplib.SMTPDataError:
        return False


async def test_no_address_is_in_the_log(pool: Pool, lmtp: Settings, caplog: pytest.LogCaptureFixture) -> None:
    somebody = await mails(Books(pool, lmtp))
    delivery = await somebody.sent()
    with caplog.at_level(logging.DEBUG, logger="services"):
        for raw in (
            returned.postfix(delivery.hex),
            returned.qmail(),
            b"Subject: failed\r\n\r\nfor a@b.example",
        ):
            await hand_in(lmtp, raw, envelope_sender(delivery.hex, returned.DOMAIN))
    ours = [record for record in caplog.records if not record.name.startswith(("mail.log", "asyncio"))]
    assert {str(delivery)} <= {record.__dict__.get("delivery_id") for record in ours}
    assert not any("@" in str(record.__dict__) for record in ours)


async def test_without_an_address_to_listen_on_there_is_none(pool: Pool, database_url: str) -> None:
    await run_lmtp(pool, settings_for(database_url), asyncio.Event())


async def test_a_port_that_is_taken_stops_the_start(pool: Pool, lmtp: Settings) -> None:
    with pytest.raises(ConfigError, match="LMTP_LISTEN"):
        await run_lmtp(pool, lmtp, asyncio.Event())


@pytest.mark.parametrize("text", ["2424", "localhost:", ":2424", "localhost:http", "localhost:70000"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="LMTP_LISTEN"):
        read_settings({"OMROEPER_LMTP_LISTEN": text})


def test_an_address_may_be_of_version_6() -> None:
    assert read_settings({"OMROEPER_LMTP_LISTEN": "[::1]:2424"}).lmtp_address == ("::1", 2424)


async def test_the_service_of_the_subscribers_takes_bounces_in(
    pool: Pool, settings: Settings, omroeper: Callable[..., Process]
) -> None:
    process = omroeper(
        "serve",
        "subscribers",
        "--port",
        str(free_port()),
        OMROEPER_DATABASE_URL=settings.database_url,
        OMROEPER_SECRET_KEY="k" * 32,
        OMROEPER_LMTP_LISTEN=settings.lmtp_listen,
    )
    await process.wait_for_line("bounces are taken in", seconds=60)
    somebody = await mails(Books(pool, settings))
    delivery = await somebody.sent()
    await hand_in(settings, returned.exchange(delivery.hex), envelope_sender(delivery.hex, returned.DOMAIN))
    assert await somebody.status() == ("disabled", "bounced")
    assert "start-it.example" not in process.output
