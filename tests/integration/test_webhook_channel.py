"""The webhook channel against real servers on the loopback, well-behaved and not."""

import asyncio
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDictProxy
from standardwebhooks import Webhook as Oracle

from services.dispatcher.channels.webhook import (
    FAILURES,
    Webhook,
    failed,
    personal_part,
    retry_after,
    shared_part,
)
from services.dispatcher.egress import BlockedAddress, guard
from services.dispatcher.message import Announcement, Message
from services.domain.delivery import EXCERPT_BYTES, Outcome, Permanent, Sent, Temporary
from services.domain.egress import Networks
from services.domain.event import EventType
from services.domain.passing_on import PURPOSE, Door, Link, read_token
from services.domain.signing import symmetric_secret
from services.runtime.clock import utc_now
from services.runtime.passing_links import passing_links
from services.runtime.settings import Settings

LOOPBACK: Networks = (ip_network("127.0.0.0/8"),)
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MINUTE = timedelta(seconds=60)
NEW, OLD = symmetric_secret(b"n" * 32), symmetric_secret(b"o" * 32)
ANNOUNCEMENT = Announcement(
    id=uuid4(),
    source="https://marketplace.example/opdrachten",
    ce_id="2026-001:1",
    type=EventType.PUBLISHED,
    subject="2026-001",
    version=1,
    occurred_at=datetime.fromisoformat("2026-03-02T10:00:00+01:00"),
    data={"id": "2026-001", "title": {"nl": "Slimme fietsenstalling, één per station"}},
    deadline=None,
)
SETTINGS = Settings(secret_key="k" * 32, public_url="https://omroeper.example")
LINK = passing_links(SETTINGS, Door.WEBHOOK)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def whole(sent: Message) -> bytes:
    """The body that a delivery is to have."""
    return shared_part(sent.announcement) + personal_part(LINK(sent.subscriber_id, sent.announcement.id))


BODY_BYTES = len(shared_part(ANNOUNCEMENT) + personal_part(LINK(uuid4(), uuid4())))


def message(target: str, *, secrets: tuple[str, ...] = (NEW,), delivery_id: UUID | None = None) -> Message:
    return Message(
        delivery_id=delivery_id or uuid4(),
        attempt=1,
        announcement=ANNOUNCEMENT,
        subscription_id=uuid4(),
        subscriber_id=uuid4(),
        subscriber="Incubator",
        target=target,
        language="nl",
        match={},
        unsubscribe_token="token",
        secrets=secrets,
    )


@asynccontextmanager
async def channel(
    *,
    timeout_seconds: float = 10.0,
    allowed: Networks = LOOPBACK,
    clock: Callable[[], datetime] = utc_now,
) -> AsyncIterator[Webhook]:
    made = Webhook(
        timeout_seconds=timeout_seconds,
        allowed_networks=allowed,
        slots=10,
        passing_link=LINK,
        origin="omroeper.example",
        clock=clock,
    )
    try:
        yield made
    finally:
        await made.close()


async def send(target: str, *, timeout_seconds: float = 10.0, allowed: Networks = LOOPBACK) -> Outcome:
    async with channel(timeout_seconds=timeout_seconds, allowed=allowed) as webhook:
        return await webhook.send(message(target))


@asynccontextmanager
async def receiver(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    until: bytes = b"\r\n\r\n",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Serve with the bare socket, after the first `until` has come in."""
    talks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            try:
                await reader.readuntil(until)
                await talk(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def answering(status: int, **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, text="because", headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return handler


class Recorded:
    """A receiver that keeps what came in."""

    def __init__(self) -> None:
        self.requests: list[tuple[CIMultiDictProxy[str], bytes]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.headers, await request.read()))
        answer = web.Response(text="thanks")
        answer.set_cookie("session", "1")
        return answer


async def test_what_goes_over_the_wire_verifies_with_either_secret() -> None:
    inbox = Recorded()
    sent = message("", secrets=(NEW, OLD))
    async with receiver(inbox) as url, channel() as webhook:
        outcome = await webhook.send(replace(sent, target=url))
    headers, body = inbox.requests[0]
    assert outcome == Sent(200, "thanks")
    assert headers["webhook-id"] == str(sent.delivery_id)
    assert headers["webhook-request-origin"] == "omroeper.example"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("Omroeper/")
    for secret in (NEW, OLD):
        assert Oracle(secret).verify(body, dict(headers)) == {
            "type": "opportunity.published",
            "timestamp": "2026-03-02T09:00:00Z",
            "data": {
                **ANNOUNCEMENT.data,
                "_omroeper": {"passed_on_url": LINK(sent.subscriber_id, ANNOUNCEMENT.id)},
            },
        }


async def test_a_repeat_carries_the_same_id_and_body_and_its_own_timestamp() -> None:
    inbox, ticks = Recorded(), iter([NOW, NOW + timedelta(seconds=5.9)])
    async with receiver(inbox) as url, channel(clock=lambda: next(ticks)) as webhook:
        again = message(url)
        assert await webhook.send(again) == await webhook.send(again) == Sent(200, "thanks")
    (first, body), (second, same_body) = inbox.requests
    assert first["webhook-id"] == second["webhook-id"]
    assert body == same_body == whole(again)
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 5
    assert first["webhook-signature"] != second["webhook-signature"]


async def test_no_cookie_is_kept_between_sends() -> None:
    inbox = Recorded()
    async with receiver(inbox) as url, channel() as webhook:
        named = url.replace("127.0.0.1", "localhost")  # a jar takes no cookies from bare addresses
        await webhook.send(message(named))
        await webhook.send(message(named))
    assert [("cookie" in headers) for headers, _ in inbox.requests] == [False, False]


async def test_a_channel_that_was_closed_opens_again() -> None:
    async with receiver(answering(204)) as url, channel() as webhook:
        await webhook.send(message(url))
        await webhook.close()
        assert await webhook.send(message(url)) == Sent(204)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Sent(200, "because")),
        (202, Sent(202, "because")),
        (300, Temporary("redirect", 300, "because")),
        (400, Temporary("http_400", 400, "because")),
        (401, Temporary("http_401", 401, "because")),
        (404, Temporary("http_404", 404, "because")),
        (410, Permanent("gone", 410, "because", gone=True)),
        (429, Temporary("http_429", 429, "because", at_least=MINUTE)),
        (500, Temporary("http_500", 500, "because")),
        (502, Temporary("http_502", 502, "because", at_least=MINUTE)),
        (503, Temporary("http_503", 503, "because")),
        (504, Temporary("http_504", 504, "because", at_least=MINUTE)),
        (599, Temporary("http_599", 599, "because")),
        (700, Temporary("protocol", 700, "because")),
    ],
)
async def test_the_status_decides(status: int, expected: Outcome) -> None:
    async with receiver(answering(status)) as url:
        assert await send(url) == expected


@pytest.mark.parametrize(("status", "heard"), [(429, True), (503, True), (400, False), (302, False)])
async def test_a_wish_to_wait_is_heard_where_it_has_a_meaning(status: int, heard: bool) -> None:
    async with receiver(answering(status, retry_after="120")) as url:
        outcome = await send(url)
    assert isinstance(outcome, Temporary)
    assert outcome.retry_after == (timedelta(seconds=120) if heard else None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int) -> None:
    inbox = Recorded()
    async with receiver(inbox) as target, receiver(answering(status, location=f"{target}/in")) as url:
        assert await send(url) == Temporary("redirect", status, "because")
    assert inbox.requests == []


async def test_a_receiver_that_never_answers_times_out() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with raw(hang) as place:
        assert await send(f"http://{place}/", timeout_seconds=0.2) == Temporary("timeout", at_least=MINUTE)


@pytest.mark.parametrize(("status", "kind"), [(200, Sent), (500, Temporary)])
async def test_an_answer_that_drips_is_cut_off_and_its_status_counts(
    status: int, kind: type[Outcome]
) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 100000\r\n\r\n".encode())
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.readexactly(BODY_BYTES), 0.2)
        while not reader.at_eof():
            writer.write(b"x")
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.02)
        hung_up.set()

    hung_up = asyncio.Event()
    async with raw(drip) as place:
        async with asyncio.timeout(5):
            outcome = await send(f"http://{place}/", timeout_seconds=0.5)
            await hung_up.wait()
    assert isinstance(outcome, kind)
    assert outcome.code == status
    assert set(outcome.excerpt) == {"x"}


async def test_an_endless_body_is_not_read_to_its_end() -> None:
    written = 0

    async def pour(request: web.Request) -> web.StreamResponse:
        nonlocal written
        answer = web.StreamResponse()
        await answer.prepare(request)
        with suppress(OSError):
            while True:
                await answer.write(b"y" * 65536)
                written += 65536
        hung_up.set()
        return answer

    hung_up = asyncio.Event()
    async with receiver(pour) as url:
        async with asyncio.timeout(5):
            outcome = await send(url)
            await hung_up.wait()
    assert outcome == Sent(200, "y" * EXCERPT_BYTES)
    assert written < 20_000_000


async def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"z" * 20_000_000)

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"content-encoding": "gzip"})

    async with receiver(handler) as url:
        outcome = await send(url)
    assert isinstance(outcome, Sent)
    assert len(outcome.excerpt) <= EXCERPT_BYTES
    assert "zz" not in outcome.excerpt


async def test_an_excerpt_can_be_stored_as_text_whatever_the_bytes() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"a\x00b\xff\xc3\xa9")

    async with receiver(handler) as url:
        assert await send(url) == Sent(200, "ab\ufffdé")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", Temporary("connection_reset")),
        (b"HTTP/1.1 20", Temporary("connection_reset")),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", Sent(200, "abc")),
        (b"HTTP/1.1 500 X\r\ncontent-length: 10\r\n\r\nabc", Temporary("http_500", 500, "abc")),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Temporary("protocol")),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100_000 + b"\r\n\r\n", Temporary("protocol")),
    ],
)
async def test_an_answer_that_breaks_off_or_is_no_http(answer: bytes, expected: Outcome) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(BODY_BYTES)
        writer.write(answer)
        await writer.drain()

    async with raw(talk) as place:
        assert await send(f"http://{place}/") == expected


async def test_a_connection_that_is_reset_is_told_apart_from_one_refused() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with raw(reset) as place:
        assert await send(f"http://{place}/") == Temporary("connection_reset")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert await send(f"http://127.0.0.1:{port}/") == Temporary("connection_refused")


async def test_a_name_that_does_not_exist_is_a_matter_of_dns() -> None:
    assert await send("https://nobody.invalid/") == Temporary("dns")


async def test_plain_http_behind_an_https_url_is_a_matter_of_tls() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    # a TLS greeting begins with 0x16 and has no end of headers
    async with raw(talk, until=b"\x16") as place:
        assert await send(f"https://{place}/") == Temporary("tls")


@pytest.fixture
def stranger(tmp_path: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "stranger.pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused(stranger: ssl.SSLContext) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with raw(talk, tls=stranger) as place:
        assert await send(f"https://{place}/") == Temporary("certificate")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_our_own_network_is_not_reached_by_name_nor_by_address(scheme: str, host: str) -> None:
    inbox = Recorded()
    async with receiver(inbox) as url:
        port = url.rpartition(":")[2]
        assert await send(f"{scheme}://{host}:{port}/", allowed=()) == Permanent("blocked_address")
    assert inbox.requests == []


async def test_a_name_that_leads_into_an_allowed_network_is_reached() -> None:
    async with receiver(answering(200)) as url:
        assert await send(url.replace("127.0.0.1", "localhost")) == Sent(200, "because")


async def test_another_network_that_is_allowed_opens_nothing_here() -> None:
    async with receiver(answering(200)) as url:
        assert await send(url, allowed=(ip_network("10.0.0.0/8"),)) == Permanent("blocked_address")


def test_plain_http_goes_to_allowed_networks_only_though_the_address_be_public() -> None:
    public = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("8.8.8.8", 80))
    guard(LOOPBACK)(public).close()  # makes a socket, connects to nothing
    with pytest.raises(BlockedAddress):
        guard(LOOPBACK, plain=True)(public)


async def test_a_proxy_of_the_environment_is_not_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, inbox = Recorded(), Recorded()
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with receiver(proxy) as proxy_url, receiver(inbox) as url:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy_url)
        await send(url)
    assert proxy.requests == []
    assert len(inbox.requests) == 1


@pytest.mark.parametrize(
    "target", ["", "hooks", "ftp://127.0.0.1/", "http://", "http://[1/", "http://127.0.0.1:x/", "mailto:a@b"]
)
async def test_a_url_that_cannot_be_called_is_final(target: str) -> None:
    assert await send(target) == Permanent("bad_url")


async def test_a_host_name_too_long_to_look_up_is_final() -> None:
    assert await send("https://" + "a" * 70 + ".invalid/") == Permanent("bad_url")


@pytest.mark.parametrize("secrets", [(), ("whsec_short",)])
async def test_without_a_usable_secret_nothing_goes_out(secrets: tuple[str, ...]) -> None:
    inbox = Recorded()
    async with receiver(inbox) as url, channel() as webhook:
        assert await webhook.send(message(url, secrets=secrets)) == Temporary("bad_secret")
    assert inbox.requests == []


async def test_a_send_that_is_stopped_hangs_up() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began.set()
        await reader.read()
        hung_up.set()

    began, hung_up = asyncio.Event(), asyncio.Event()
    async with raw(hang) as place, channel() as webhook, asyncio.timeout(5):
        task = asyncio.create_task(webhook.send(message(f"http://{place}/")))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await hung_up.wait()


async def test_neither_secret_nor_address_shows_in_repr() -> None:
    async with receiver(answering(200)) as url, channel() as webhook:
        sent = message(f"{url}/hidden-path")
        shown = f"{await webhook.send(sent)!r} {webhook!r} {sent!r} {vars(webhook)!r}"
    assert NEW not in shown
    assert "hidden-path" not in shown


def test_every_error_of_the_library_has_an_outcome() -> None:
    def family(kind: type[BaseException]) -> Iterator[type[BaseException]]:
        for child in kind.__subclasses__():
            yield child
            yield from family(child)

    unmapped = {
        kind.__name__
        for kind in family(aiohttp.ClientError)
        if kind.__module__.startswith("aiohttp") and not any(issubclass(kind, row) for row, _ in FAILURES)
    }
    assert unmapped == set()


def test_no_row_of_the_table_is_hidden_by_one_above_it() -> None:
    kinds = [kind for kind, _ in FAILURES]
    hidden = [kind for i, kind in enumerate(kinds) if any(issubclass(kind, above) for above in kinds[:i])]
    assert hidden == []


def test_an_error_that_nobody_foresaw_is_raised_again() -> None:
    bug = KeyError("bug")
    with pytest.raises(KeyError) as caught:
        failed(bug)
    assert caught.value is bug


def test_blocked_addresses_all_read_the_same_so_that_they_stay_recognisable() -> None:
    assert str(BlockedAddress()) == str(BlockedAddress())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 60 ", 60),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        ("Monday, 02-Mar-26 09:31:00 GMT", 60),
        ("Mon Mar  2 09:31:00 2026", 60),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("999999999", None),
        ("9" * 400, None),
        (format_datetime(NOW - timedelta(seconds=1), usegmt=True), None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
    ],
)
def test_a_wish_to_wait_is_read_in_both_its_forms(value: str | None, seconds: int | None) -> None:
    assert retry_after(value, NOW) == (None if seconds is None else timedelta(seconds=seconds))


@given(st.text() | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [+-]\d+", fullmatch=True))
def test_whatever_stands_in_the_header_the_wait_is_reasonable(value: str) -> None:
    asked = retry_after(value, NOW)
    assert asked is None or timedelta() <= asked <= timedelta(days=30)


def test_the_body_is_json_with_the_event_s_time_in_utc() -> None:
    body = whole(message(""))
    assert list(json.loads(body)) == ["type", "timestamp", "data"]
    assert "één".encode() in body


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    data=st.dictionaries(st.text() | st.sampled_from(["_omroeper", "data"]), json_values, max_size=4),
    link=st.text(max_size=60),
)
def test_what_is_personal_is_set_in_as_if_all_had_been_written_at_once(
    data: dict[str, Any], link: str
) -> None:
    announcement = replace(ANNOUNCEMENT, data=data)
    expected = {
        "type": "opportunity.published",
        "timestamp": "2026-03-02T09:00:00Z",
        "data": {**{k: v for k, v in data.items() if k != "_omroeper"}, "_omroeper": {"passed_on_url": link}},
    }
    at_once = json.dumps(expected, separators=(",", ":"), ensure_ascii=False).encode()
    assert shared_part(announcement) + personal_part(link) == at_once


async def test_two_receivers_of_one_event_get_links_of_their_own_and_signatures_over_them() -> None:
    inbox = Recorded()
    async with receiver(inbox) as url, channel() as webhook:
        sent = [message(url), message(url)]
        assert [await webhook.send(one) for one in sent] == [Sent(200, "thanks")] * 2
    for one, (headers, body) in zip(sent, inbox.requests, strict=True):
        link = Oracle(NEW).verify(body, dict(headers))["data"]["_omroeper"]["passed_on_url"]
        home, _, token = link.rpartition("/")
        assert home == "https://omroeper.example/p"
        read = read_token(token, SETTINGS.signing_keys(PURPOSE))
        assert read == Link(one.subscriber_id, ANNOUNCEMENT.id, Door.WEBHOOK)
