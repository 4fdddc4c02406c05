"""The email channel against real SMTP servers on the loopback."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import aiosmtplib
import dkim
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from services.dispatcher.channels.email import OUTCOMES, Email, outcome_of
from services.dispatcher.mail.pool import Pool, Relay
from services.dispatcher.message import Announcement, Message
from services.domain.delivery import Permanent, Sent, Temporary
from services.domain.event import EventType
from services.runtime.settings import ConfigError, Settings

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
TITLE = "Slimme sensoren voor de één kilometer kaaimuur \u2013 fase 1"
Reply = str | None


@dataclass
class Relaying:
    """A relay that keeps what it is handed; `replies` answers a command otherwise, once per entry.

    A reply of None cuts the connection without a word.
    """

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    mails: list[Envelope] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    before_answering: Callable[[], Awaitable[object]] | None = None
    servers: "list[SMTP]" = field(default_factory=list)
    port: int = 0

    def _reply(self, command: str, server: SMTP, usual: str) -> str:
        if not self.replies.get(command):
            return usual
        reply = self.replies[command].pop(0)
        if reply is None:
            hang_up(server)
            return usual
        return reply

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        reply = self._reply("EHLO", server, "")
        return [reply] if reply else responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._reply("MAIL", server, "250 OK")
        if reply.startswith("250"):
            envelope.mail_from = address
        return reply

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._reply("RCPT", server, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.before_answering:
            await self.before_answering()
        reply = self._reply("DATA", server, "250 2.0.0 Ok: queued as 4F1")
        self.mails.append(envelope)
        return reply

    def cut_off(self) -> None:
        """Hang up on everybody, as a relay does with idle clients."""
        for server in self.servers:
            hang_up(server)


def hang_up(server: SMTP) -> None:
    if server.transport is not None:
        cast(asyncio.Transport, server.transport).abort()


class _Counted(SMTP):
    def __init__(self, relay: Relaying, **options: Any) -> None:
        super().__init__(relay, **options)
        self._relay = relay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        first = self.transport is None
        super().connection_made(transport)
        if first:
            relay = self._relay
            relay.servers.append(self)
            relay.connections, relay.open = relay.connections + 1, relay.open + 1
            relay.most_open = max(relay.most_open, relay.open)

    def connection_lost(self, error: Exception | None) -> None:
        self._relay.open -= 1
        super().connection_lost(error)


@asynccontextmanager
async def relaying(
    relay: Relaying, *, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[Relaying]:
    """Serve a relay on the loopback, on the test's own loop."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Counted(relay, hostname="relay.example", loop=loop, **options), "127.0.0.1", 0, ssl=tls
    )
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        relay.cut_off()
        await server.wait_closed()


@pytest.fixture
async def relay() -> AsyncIterator[Relaying]:
    async with relaying(Relaying()) as served:
        yield served


@asynccontextmanager
async def mailing(relay: Relaying, *, url: str = "", **changes: Any) -> AsyncIterator[Email]:
    settings = Settings(
        smtp_url=url or f"smtp://127.0.0.1:{relay.port}",
        smtp_connections=3,
        mail_from="Omroeper <omroeper@opdrachten.example>",
        public_url="https://omroeper.example",
        secret_key="k" * 32,
        email_timeout_seconds=5.0,
    )
    channel = Email(replace(settings, **changes), clock=lambda: NOW)
    try:
        yield channel
    finally:
        await channel.close()


def message(**changes: Any) -> Message:
    """A delivery of a fresh event."""
    deadline = NOW + timedelta(days=50)
    announcement = Announcement(
        id=uuid4(),
        source="https://marktplaats.example",
        ce_id="7:1",
        type=EventType.PUBLISHED,
        subject="KBS-2026-7",
        version=1,
        occurred_at=NOW,
        data={
            "id": "KBS-2026-7",
            "title": {"nl": TITLE},
            "url": "https://marktplaats.example/7",
            "deadline": deadline.isoformat(),
        },
        deadline=deadline,
    )
    delivery = Message(
        delivery_id=uuid4(),
        attempt=1,
        announcement=announcement,
        subscription_id=uuid4(),
        subscriber_id=uuid4(),
        subscriber="Corda INCubator",
        target="opdrachten@corda.example",
        language="nl",
        match={"themes": ["haven"]},
        unsubscribe_token="Zk3vJ8c2Q0mP5rT7wX9yAb",
    )
    return replace(delivery, **changes)


def on_the_wire(mail: Envelope) -> bytes:
    content = mail.original_content
    assert isinstance(content, bytes)
    return content


async def test_a_mail_arrives_byte_for_byte(relay: Relaying) -> None:
    delivery = message()
    async with mailing(relay) as channel:
        assert await channel.send(delivery) == Sent(250, "2.0.0 Ok: queued as 4F1")
    (mail,) = relay.mails
    raw = on_the_wire(mail)
    assert mail.mail_from == f"bounce+{delivery.delivery_id.hex}@opdrachten.example"
    assert mail.rcpt_tos == ["opdrachten@corda.example"]
    assert raw.isascii()
    for header in (
        f"Message-ID: <{delivery.delivery_id.hex}@opdrachten.example>",
        "List-Unsubscribe: <https://omroeper.example/u/Zk3vJ8c2Q0mP5rT7wX9yAb>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        'List-Id: "Opdrachten" <opdrachten.opdrachten.example>',
        "To: opdrachten@corda.example",
        "Date: Tue, 24 Nov 2026 10:00:00 +0000",
        "Auto-Submitted: auto-generated",
        "Content-Language: nl",
        "MIME-Version: 1.0",
    ):
        assert f"\r\n{header}\r\n".encode() in b"\r\n" + raw
    parsed = message_from_bytes(raw, policy=policy.default)
    assert parsed["Subject"] == f"Nieuwe opdracht: {TITLE} (tot 13 januari 2027)"
    assert [part.get_content_type() for part in parsed.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


async def test_a_retry_is_the_same_mail_again(relay: Relaying) -> None:
    relay.replies["DATA"] = ["451 4.7.1 Greylisted, come back later"]
    delivery = message()
    async with mailing(relay) as channel:
        first = await channel.send(delivery)
        assert await channel.send(replace(delivery, attempt=2)) == Sent(250, "2.0.0 Ok: queued as 4F1")
    assert first == Temporary("smtp_451", code=451, excerpt="4.7.1 Greylisted, come back later")
    refused, accepted = (on_the_wire(mail) for mail in relay.mails)
    assert refused == accepted


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize("code", [421, 450, 451, 452, 471])
async def test_4xx_is_tried_again(relay: Relaying, command: str, code: int) -> None:
    relay.replies[command] = [f"{code} 4.0.0 Not now"]
    async with mailing(relay) as channel:
        assert await channel.send(message()) == Temporary(f"smtp_{code}", code=code, excerpt="4.0.0 Not now")


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize("code", [550, 551, 552, 553, 554])
async def test_5xx_about_the_receiver_is_final(relay: Relaying, command: str, code: int) -> None:
    relay.replies[command] = [f"{code} 5.1.1 No such mailbox"]
    async with mailing(relay) as channel:
        outcome = await channel.send(message())
        assert outcome == Permanent(f"smtp_{code}", code=code, excerpt="5.1.1 No such mailbox")
        assert isinstance(await channel.send(message()), Sent)
    assert relay.connections == 1


@pytest.mark.parametrize(
    ("command", "reply", "error"),
    [
        ("MAIL", "550 5.7.1 Sender rejected", "relay_sender"),
        ("MAIL", "530 5.7.0 Authentication required", "relay_sender"),
        ("RCPT", "530 5.7.0 Authentication required", "relay_login"),
        ("DATA", "299 What", "relay_protocol"),
    ],
)
async def test_what_the_relay_has_against_us_is_not_the_receivers_fault(
    relay: Relaying, command: str, reply: str, error: str
) -> None:
    relay.replies[command] = [reply]
    async with mailing(relay) as channel:
        outcome = await channel.send(message())
        assert isinstance(outcome, Temporary)
        assert (outcome.error, outcome.code) == (error, int(reply[:3]))
        assert isinstance(await channel.send(message()), Sent)


async def test_a_mail_too_large_for_the_relay_is_final(relay: Relaying) -> None:
    relay.replies["MAIL"] = ["552 5.3.4 Message size exceeds fixed limit"]
    async with mailing(relay) as channel:
        outcome = await channel.send(message())
    assert outcome == Permanent("smtp_552", code=552, excerpt="5.3.4 Message size exceeds fixed limit")


async def test_a_connection_cut_after_the_mail_was_handed_over_is_left_to_a_retry(relay: Relaying) -> None:
    relay.replies["DATA"] = [None]
    delivery = message()
    async with mailing(relay) as channel:
        outcome = await channel.send(delivery)
        assert outcome == Temporary("connection_lost", at_least=timedelta(seconds=60))
        assert len(relay.mails) == 1
        assert isinstance(await channel.send(delivery), Sent)
    assert relay.connections == 2
    assert on_the_wire(relay.mails[0]) == on_the_wire(relay.mails[1])


async def test_a_relay_that_stays_silent_times_out_and_loses_the_connection(relay: Relaying) -> None:
    never = asyncio.Event()
    relay.before_answering = never.wait
    async with mailing(relay, email_timeout_seconds=0.2) as channel:
        assert await channel.send(message()) == Temporary("timeout", at_least=timedelta(seconds=60))
        relay.before_answering = None
        assert isinstance(await channel.send(message()), Sent)
    assert relay.connections == 2


async def test_a_cancelled_mail_leaves_no_connection_in_doubt(relay: Relaying) -> None:
    reached = asyncio.Event()

    async def hold() -> None:
        reached.set()
        await asyncio.Event().wait()

    relay.before_answering = hold
    async with mailing(relay) as channel:
        task = asyncio.create_task(channel.send(message()))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        relay.before_answering = None
        assert isinstance(await channel.send(message()), Sent)
    assert relay.connections == 2


async def test_a_relay_that_is_not_there_is_told_so_and_found_again() -> None:
    async with relaying(Relaying()) as relay:
        pass
    async with mailing(relay) as channel:
        outcome = await channel.send(message())
        assert isinstance(outcome, Temporary)
        assert outcome.error == "relay_unreachable"


@asynccontextmanager
async def refusing(greeting: bytes) -> AsyncIterator[Relaying]:
    """Serve a relay that says one thing to whoever comes, and waits for them to go."""
    visits: list[asyncio.Task[None]] = []

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(asyncio.create_task(visit(reader, writer)))

    server = await asyncio.start_server(welcome, "127.0.0.1", 0)
    async with server:
        yield Relaying(port=server.sockets[0].getsockname()[1])
        await asyncio.gather(*visits)


@pytest.mark.parametrize("greeting", [b"554 5.7.1 Go away\r\n", b"421 4.3.2 Too busy\r\n"])
async def test_a_relay_that_refuses_at_the_door_is_tried_again(greeting: bytes) -> None:
    async with refusing(greeting) as relay, mailing(relay) as channel:
        outcome = await channel.send(message())
    code, _, text = greeting.decode().strip().partition(" ")
    assert outcome == Temporary("relay_refused", code=int(code), excerpt=text)


async def test_an_answer_that_is_not_text_can_still_be_stored() -> None:
    async with refusing(b"554 caf\xe9\r\n") as relay, mailing(relay) as channel:
        outcome = await channel.send(message())
    assert outcome.excerpt.encode() == "caf\ufffd".encode()


async def test_connections_are_reused_and_never_more_than_allowed(relay: Relaying) -> None:
    event = message().announcement
    async with mailing(relay) as channel:
        outcomes = await asyncio.gather(
            *(channel.send(message(announcement=event, target=f"a{n}@b.example")) for n in range(60))
        )
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert sorted(mail.rcpt_tos[0] for mail in relay.mails) == sorted(f"a{n}@b.example" for n in range(60))
    assert relay.most_open == relay.connections == 3


async def test_nothing_connects_before_there_is_a_mail(relay: Relaying) -> None:
    async with mailing(relay):
        pass
    assert relay.connections == 0


@pytest.mark.parametrize("reply", [None, "421 4.4.2 Timeout exceeded"])
async def test_a_stale_connection_is_replaced_once(relay: Relaying, reply: Reply) -> None:
    async with mailing(relay) as channel:
        await channel.send(message())
        relay.replies["MAIL"] = [reply]
        assert isinstance(await channel.send(message()), Sent)
    assert (relay.connections, len(relay.mails)) == (2, 2)


async def test_a_fresh_connection_that_is_lost_is_not_tried_again_at_once(relay: Relaying) -> None:
    relay.replies["MAIL"] = [None]
    async with mailing(relay) as channel:
        assert await channel.send(message()) == Temporary("connection_lost", at_least=timedelta(seconds=60))
    assert relay.connections == 1


@pytest.mark.parametrize(
    ("limits", "connections"), [({"mails_per_connection": 2}, 3), ({"idle_seconds": 0}, 5)]
)
async def test_old_connections_make_place_for_fresh_ones(
    relay: Relaying, limits: dict[str, Any], connections: int
) -> None:
    pool = Pool(
        Relay("127.0.0.1", relay.port), size=1, timeout_seconds=5, local_hostname="a.example", **limits
    )
    for _ in range(5):
        await pool.send("a@b.example", "c@d.example", b"Subject: x\r\n\r\ny\r\n")
    await pool.close()
    assert (relay.connections, len(relay.mails)) == (connections, 5)


async def test_a_signed_mail_verifies_as_it_came_off_the_wire(relay: Relaying) -> None:
    key = Ed25519PrivateKey.generate()
    seed = base64.b64encode(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())).decode()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    asked: list[bytes] = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return b"v=DKIM1; k=ed25519; p=" + public

    async with mailing(relay, dkim_selector="s2026", dkim_key=seed) as channel:
        assert isinstance(await channel.send(message(subscriber=".\n..\nFrom mij")), Sent)
    assert dkim.verify(on_the_wire(relay.mails[0]), dnsfunc=dns)
    assert asked == [b"s2026._domainkey.opdrachten.example."]


@pytest.mark.parametrize("target", ["a@b.example\r\nRCPT TO:<c@d.example>", "geen adres", "é@b.example"])
async def test_a_bad_address_is_never_offered_to_the_relay(relay: Relaying, target: str) -> None:
    async with mailing(relay) as channel:
        assert await channel.send(message(target=target)) == Permanent("bad_address")
    assert relay.connections == 0


async def test_a_template_that_fails_is_said_in_the_log_and_sends_nothing(
    relay: Relaying, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    template = tmp_path / "email" / "nl" / "published.txt.j2"
    template.parent.mkdir(parents=True)
    template.write_text("{{ titel }}")
    async with mailing(relay, templates_dir=str(tmp_path)) as channel:
        assert await channel.send(message()) == Permanent("template")
    assert "email/nl/published.txt.j2: UndefinedError: 'titel' is undefined" in caplog.text
    assert "corda" not in caplog.text.lower()
    assert relay.connections == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "relay.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + signed.public_bytes(Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context


async def test_tls_is_used_when_offered_though_nobody_vouches_for_it(certificate: ssl.SSLContext) -> None:
    served = relaying(Relaying(), tls_context=certificate, require_starttls=True)
    async with served as relay, mailing(relay) as channel:
        assert isinstance(await channel.send(message()), Sent)


@pytest.mark.parametrize(
    ("url", "offered"),
    [
        ("smtp://127.0.0.1:{}?starttls=required", None),
        ("smtp://127.0.0.1:{}?starttls=required", "tls_context"),
        ("smtp://omroeper:geheim@127.0.0.1:{}", "tls_context"),
        ("smtps://127.0.0.1:{}", "tls"),
    ],
)
async def test_required_tls_is_not_settled_for_less(
    url: str, offered: str | None, certificate: ssl.SSLContext
) -> None:
    tls: dict[str, Any] = {offered: certificate} if offered else {}
    async with relaying(Relaying(), **tls) as relay:
        async with mailing(relay, url=url.format(relay.port)) as channel:
            outcome = await channel.send(message())
        assert isinstance(outcome, Temporary)
        assert outcome.error == "relay_tls"
        assert relay.mails == []


async def test_a_wrong_password_is_the_relays_trouble_with_us() -> None:
    def only_geheim(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        return AuthResult(success=data.password == b"geheim", handled=False)

    async with relaying(Relaying(), authenticator=only_geheim, auth_require_tls=False) as relay:
        async with mailing(relay, url=f"smtp://omroeper:fout@127.0.0.1:{relay.port}") as channel:
            outcome = await channel.send(message())
            assert isinstance(outcome, Temporary)
            assert (outcome.error, outcome.code) == ("relay_login", 535)
        async with mailing(relay, url=f"smtp://omroeper:geheim@127.0.0.1:{relay.port}") as channel:
            assert isinstance(await channel.send(message()), Sent)


async def test_without_a_relay_there_is_no_channel() -> None:
    with pytest.raises(ConfigError, match="SMTP_URL"):
        Email(Settings(secret_key="k" * 32))


def kinds(of: type[Exception]) -> Iterator[type[Exception]]:
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


def test_every_error_of_the_library_stands_in_the_table() -> None:
    mapped = {kind for kind, _ in OUTCOMES}
    library = {kind for kind in kinds(aiosmtplib.SMTPException) if kind.__module__.startswith("aiosmtplib")}
    assert len(library) > 10
    assert library <= mapped


def test_a_row_of_the_table_is_not_hidden_by_one_above_it() -> None:
    for place, (kind, _) in enumerate(OUTCOMES):
        assert not [above for above, _ in OUTCOMES[:place] if issubclass(kind, above)]


def test_an_error_of_the_operating_system_is_the_relays_trouble() -> None:
    outcome = outcome_of(ConnectionResetError())
    assert outcome == Temporary("relay_unreachable")
