"""What a mail says and how its bytes are made; nothing is sent here."""

import base64
import quopri
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatcher.mail import wire
from services.dispatcher.mail.composer import BadAddress, Composer
from services.dispatcher.mail.dkim_signer import Signer, signer_from
from services.dispatcher.mail.pool import Relay
from services.dispatcher.mail.templates import BadTemplate
from services.dispatcher.message import Announcement, Message
from services.domain.event import EventType
from services.domain.opportunity import parse_opportunity
from services.domain.passing_on import PURPOSE, Door, Link, read_token
from services.domain.reason import explain, one_line
from services.runtime.language import speech
from services.runtime.settings import ConfigError, Settings

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
SETTINGS = Settings(
    mail_from="Omroeper <omroeper@opdrachten.example>",
    public_url="https://omroeper.example",
    secret_key="k" * 32,
)
OPPORTUNITY = {
    "id": "KBS-2026-7",
    "title": {"nl": "Slimme sensoren voor kaaimuren", "en": "Smart sensors for quay walls"},
    "summary": {"nl": "De haven zoekt een start-up.\n\nMet één voorstel op twee bladzijden."},
    "buyer": {"name": "Agentschap Maritieme Dienstverlening & Kust"},
    "procedure": "neg-wo-call",
    "estimated_value": {"amount": 139000},
    "themes": ["mobiliteit"],
    "regions": ["BE21"],
    "deadline": "2027-01-12T11:00:00Z",
    "questions_until": "2027-01-05T09:30:00+01:00",
    "url": "https://marktplaats.example/opdrachten/7?a=1&b=2",
    "documents": [{"title": "Bestek", "url": "https://marktplaats.example/bestek.pdf"}],
}


def announced(kind: EventType = EventType.PUBLISHED, **changes: Any) -> Announcement:
    """An event of the opportunity above; None takes a field away."""
    given = {key: value for key, value in {**OPPORTUNITY, **changes}.items() if value is not None}
    opportunity = parse_opportunity(given)
    return Announcement(
        id=uuid4(),
        source="https://marktplaats.example",
        ce_id="7:1",
        type=kind,
        subject=opportunity.id,
        version=1,
        occurred_at=NOW,
        data=opportunity.as_json(),
        deadline=opportunity.deadline,
    )


def to_somebody(announcement: Announcement | None = None, **changes: Any) -> Message:
    """A delivery to an incubator."""
    message = Message(
        delivery_id=uuid4(),
        attempt=1,
        announcement=announcement or announced(),
        subscription_id=uuid4(),
        subscriber_id=uuid4(),
        subscriber="Corda INCubator",
        target="opdrachten@corda.example",
        language="nl",
        match={},
        unsubscribe_token="Zk3vJ8c2Q0mP5rT7wX9yAb",
    )
    return replace(message, **changes)


def composed(message: Message, settings: Settings = SETTINGS) -> bytes:
    return Composer(settings, clock=lambda: NOW).compose(message).raw


def read(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    assert not [part.defects for part in message.walk() if part.defects]
    return message


def body(raw: bytes, kind: str) -> str:
    part = read(raw).get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def test_every_header_stands_in_the_bytes_as_it_is_meant() -> None:
    message = to_somebody(delivery_id=UUID("0190c0de-0000-7000-8000-00000000abcd"))
    head = composed(message).partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[:-1] == [
        b"Date: Tue, 24 Nov 2026 10:00:00 +0000",
        b"Message-ID: <0190c0de00007000800000000000abcd@opdrachten.example>",
        b"To: opdrachten@corda.example",
        b"List-Unsubscribe: <https://omroeper.example/u/Zk3vJ8c2Q0mP5rT7wX9yAb>",
        b"From: Omroeper <omroeper@opdrachten.example>",
        b"Subject: Nieuwe opdracht: Slimme sensoren voor kaaimuren (tot 12 januari",
        b" 2027)",
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        b'List-Id: "Opdrachten" <opdrachten.opdrachten.example>',
        b"Auto-Submitted: auto-generated",
        b"Content-Language: nl",
        b"MIME-Version: 1.0",
    ]
    assert re.fullmatch(rb'Content-Type: multipart/alternative; boundary="=_[0-9a-f]{24}"', head[-1])


def test_the_envelope_tells_which_delivery_a_bounce_is_about() -> None:
    message = to_somebody()
    mail = Composer(replace(SETTINGS, bounce_domain="terug.example")).compose(message)
    assert mail.envelope_sender == f"bounce+{message.delivery_id.hex}@terug.example"
    assert mail.recipient == "opdrachten@corda.example"
    assert "corda" not in repr(mail)


def test_a_repeated_try_is_the_same_mail_at_another_time() -> None:
    times = iter((NOW, NOW + timedelta(hours=1)))
    composer = Composer(SETTINGS, clock=lambda: next(times))
    message = to_somebody()
    first, again = (composer.compose(replace(message, attempt=n)).raw.split(b"\r\n") for n in (1, 2))
    assert first[0] != again[0]
    assert first[1:] == again[1:]


def test_a_document_without_a_title_is_named_once_by_its_link() -> None:
    link = "https://marktplaats.example/bestek.pdf"
    text = body(composed(to_somebody(announced(documents=[{"url": link}]))), "plain")
    assert text.count(link) == 1
    assert f"\n- {link}\n" in text


def test_the_dutch_mail_says_all_there_is_to_know() -> None:
    raw = composed(to_somebody(match={"regions": ["BE21"], "themes": ["mobiliteit"]}))
    for kind in ("plain", "html"):
        text = " ".join(body(raw, kind).split())
        for said in (
            "Slimme sensoren voor kaaimuren",
            "Met één voorstel op twee bladzijden.",
            "12 januari 2027 om 12.00 uur",
            "5 januari 2027 om 9.30 uur",
            "139.000 euro (exclusief btw)",
            "Antwerpen",
            "Onderhandelingsprocedure zonder voorafgaande bekendmaking (OPZB)",
            "Bekijk de opdracht",
            "Geef het door aan je start-ups",
            "Je ontvangt dit omdat het past bij je filter: regio BE21 (Antwerpen) en thema mobiliteit.",
            "Uitschrijven",
            "https://omroeper.example/u/Zk3vJ8c2Q0mP5rT7wX9yAb",
            "Liever één mail per dag of per week?",
            "Pas je voorkeuren aan",
            "https://omroeper.example/u/Zk3vJ8c2Q0mP5rT7wX9yAb/preferences",
            "Verstuurd door Omroeper aan Corda INCubator.",
        ):
            assert said in text, (kind, said)


def test_the_english_mail_is_for_everybody_else_and_marks_what_is_dutch() -> None:
    raw = composed(to_somebody(language="fr"))
    assert read(raw)["Content-Language"] == "en"
    assert read(raw)["Subject"] == "New opportunity: Smart sensors for quay walls (until 12 January 2027)"
    html = body(raw, "html")
    assert '<html lang="en" dir="ltr">' in html
    assert '<div lang="nl">' in html
    assert "12 January 2027 at 12:00 (Brussels time)" in html
    assert "€139,000 (excluding VAT)" in html


@pytest.mark.parametrize(
    ("kind", "subject", "says"),
    [
        (EventType.UPDATED, "Gewijzigde opdracht: ", "Deze opdracht is gewijzigd."),
        (EventType.WITHDRAWN, "Ingetrokken opdracht: ", "heeft deze opdracht ingetrokken."),
        (EventType.CLOSED, "Afgesloten opdracht: ", "kun je geen voorstel meer indienen."),
        (EventType.AWARDED, "Gegunde opdracht: ", "Deze opdracht is gegund"),
    ],
)
def test_each_event_has_its_own_mail(kind: EventType, subject: str, says: str) -> None:
    raw = composed(to_somebody(announced(kind)))
    assert read(raw)["Subject"].startswith(subject)
    assert says in body(raw, "html")
    assert says in " ".join(body(raw, "plain").split())
    eerder = "Je ontvangt dit omdat we je deze opdracht eerder meldden."
    assert (eerder in body(raw, "plain")) == (kind is not EventType.UPDATED)


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("kind", [EventType.WITHDRAWN, EventType.CLOSED, EventType.AWARDED])
def test_a_notice_needs_no_more_than_a_reference(kind: EventType, language: str) -> None:
    bare = replace(announced(kind), data={"id": "KBS-2026-7", "version": 2}, deadline=None)
    assert "KBS-2026-7" in read(composed(to_somebody(bare, language=language)))["Subject"]


def test_an_opportunity_of_a_title_only_makes_a_mail() -> None:
    nothing: dict[str, Any] = dict.fromkeys(set(OPPORTUNITY) - {"id", "title"})
    raw = composed(to_somebody(announced(**nothing)))
    assert read(raw)["Subject"] == "Nieuwe opdracht: Slimme sensoren voor kaaimuren"
    assert "Bekijk de opdracht" not in body(raw, "html")


HOSTILE = [
    "Titel\r\nBcc: iedereen@example.org",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "{{ 7*7 }}{% for x in y %}",
    "=?utf-8?q?Gratis=0d=0aBcc:_x@example.org?=",
    "\u202egnp.exe\u202c \u2066x",
    "שלום עולם",
    "T" * 400,
    "woord " * 60,
    "één " * 90,
    '"quoted" \\ back\' & <b>',
    "😀" * 60,
    "\x00\x07\x1b[31m",
    "regel\u2028volgende\x85derde",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_stay_texts(text: str) -> None:
    announcement = announced()
    hostile = {"title": {"nl": text}, "summary": {"nl": text}, "buyer": {"name": text}, "themes": [text]}
    announcement = replace(announcement, data={**announcement.data, **hostile})
    raw = composed(to_somebody(announcement, subscriber=text, match={"themes": [text], "text": text}))
    assert_well_formed(raw)
    message = read(raw)
    assert message["Bcc"] is None
    assert len(message.keys()) == 12
    assert len(message["Subject"]) <= 150
    assert message["Subject"].startswith(f"Nieuwe opdracht: {one_line(text)[:90].rstrip()}")
    html = body(raw, "html")
    assert "<script" not in html
    assert "<img" not in html
    assert not set("\u202e\u2066\u2028") & set(html + body(raw, "plain"))
    assert squeezed(f"aan {one_line(text)}.") in squeezed(body(raw, "plain"))


def assert_well_formed(raw: bytes) -> None:
    """ASCII only, CRLF only, no line too long (RFC 5322 section 2.1.1, RFC 2045 section 6.7)."""
    assert raw.isascii()
    assert raw.endswith(b"\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, rest.split(b"\r\n"))) <= 76


@settings(max_examples=150, deadline=None)
@given(
    name=st.text(max_size=200),
    themes=st.lists(st.text(max_size=100), max_size=6),
    words=st.text(max_size=200),
    language=st.sampled_from(["nl", "en"]),
)
def test_any_name_and_match_come_out_as_they_went_in(
    name: str, themes: list[str], words: str, language: str
) -> None:
    match = {"themes": themes, "text": words}
    raw = COMPOSER.compose(to_somebody(ANNOUNCED, subscriber=name, match=match, language=language)).raw
    assert_well_formed(raw)
    reason = explain(match, speech(language))
    assert squeezed(reason) in squeezed(body(raw, "plain"))
    assert squeezed(one_line(name)) in squeezed(body(raw, "plain"))
    assert escaped(reason) in body(raw, "html")
    assert escaped(one_line(name)) in body(raw, "html")


ANNOUNCED = announced()
COMPOSER = Composer(SETTINGS, clock=lambda: NOW)


def squeezed(text: str) -> str:
    return "".join(text.split())


def escaped(text: str) -> str:
    for plain, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;")):
        text = text.replace(plain, entity)
    return text


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_subject_comes_out_as_it_went_in(text: str) -> None:
    raw = wire.text_header("Subject", one_line(text)) + b"\r\n"
    assert raw.isascii()
    assert all(len(line) <= 76 or b" " not in line.strip() for line in raw.split(b"\r\n"))
    assert str(read(raw)["Subject"]) == one_line(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=9).map(one_line).filter(bool))
def test_any_name_of_the_list_fits_in_a_header(name: str) -> None:
    raw = wire.header("From", f"{wire.phrase(name)} <a@b.example>") + b"\r\n"
    (address,) = read(raw)["From"].addresses
    assert (address.display_name, address.addr_spec) == (name, "a@b.example")


def test_every_place_for_a_personal_text_is_filled() -> None:
    assert not re.search(rb"q[0-9a-f]{24}", composed(to_somebody()).replace(b"=\r\n", b""))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(alphabet=st.sampled_from("abé= .\n\t😀"), max_size=160), max_size=5))
def test_pieces_of_a_body_join_to_the_whole(pieces: list[str]) -> None:
    raw = b"".join(wire.quoted_printable(piece) for piece in pieces)
    assert all(len(line) <= 76 for line in raw.split(b"\r\n"))
    expected = "".join(re.sub(r"[ \t]*\n", "\r\n", piece) for piece in pieces)
    assert quopri.decodestring(raw).decode() == expected


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "http://marktplaats.example/7", 'https://x"onclick="y', "https://a@b/", "//x"],
)
def test_only_https_links_become_links(url: str) -> None:
    announcement = announced()
    data = {**announcement.data, "url": url, "documents": [{"title": "Bestek", "url": url}]}
    html = body(composed(to_somebody(replace(announcement, data=data))), "html")
    links = re.findall(r'href="([^"]*)"', html)
    ours = ["https://omroeper.example/p/", *["https://omroeper.example/u/"] * 2]
    assert [link[:27] for link in links] == ours


@pytest.mark.parametrize("language", ["nl", "en"])
def test_each_receiver_has_a_link_of_its_own_to_tell_that_it_passed_it_on(language: str) -> None:
    keys = SETTINGS.signing_keys(PURPOSE)
    for message in (to_somebody(ANNOUNCED, language=language) for _ in range(3)):
        raw = composed(message)
        (plain,) = re.findall(r"https://omroeper\.example/p/(\S+)", body(raw, "plain"))
        (html,) = re.findall(r'"https://omroeper\.example/p/([^"]+)"', body(raw, "html"))
        assert plain == html
        assert read_token(plain, keys) == Link(message.subscriber_id, ANNOUNCED.id, Door.MAIL)


@pytest.mark.parametrize("kind", [EventType.CLOSED, EventType.AWARDED])
def test_what_is_over_is_not_asked_to_be_passed_on(kind: EventType) -> None:
    assert "/p/" not in body(composed(to_somebody(announced(kind))), "plain")


def test_nothing_is_loaded_when_the_mail_is_read() -> None:
    html = body(composed(to_somebody()), "html")
    assert not re.search(r"<(img|link|script|iframe|form|object)|url\(|@import|\bsrc=", html)
    assert "@media (prefers-color-scheme: dark)" in html
    assert html.count("<h1") == 1
    assert html.count('role="presentation"') == html.count("<table") - 1
    assert html.count('scope="row"') == html.count("<th")


def test_the_text_part_is_wrapped_and_links_stand_alone() -> None:
    text = body(composed(to_somebody(announced(summary="Lang verhaal. " * 60))), "plain")
    lines = text.split("\n")
    assert all(len(line) <= 78 for line in lines if "https://" not in line)
    links = [line.strip() for line in lines if "https://" in line]
    passed_on = links.pop(2)
    assert passed_on.startswith("https://omroeper.example/p/")
    assert all(line.startswith("https://") and " " not in line for line in links)
    assert links == [
        "https://marktplaats.example/bestek.pdf",
        "https://marktplaats.example/opdrachten/7?a=1&b=2",
        "https://omroeper.example/u/Zk3vJ8c2Q0mP5rT7wX9yAb/preferences",
        "https://omroeper.example/u/Zk3vJ8c2Q0mP5rT7wX9yAb",
    ]


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nRCPT TO:<c@d.example>",
        "a@b.example\nBcc: c@d.example",
        "a b@c.example",
        "a@b.example>",
        "<a@b.example",
        "één@b.example",
        '"a"@b.example',
        "=?utf-8?q?a?=@b.example",
        "a@",
        "@b.example",
        "a@b..example",
        "a" * 65 + "@b.example",
        "a@" + "b." * 130 + "example",
        "",
    ],
)
def test_an_address_that_could_do_harm_is_refused_unrepeated(address: str) -> None:
    with pytest.raises(BadAddress) as refusal:
        composed(to_somebody(target=address))
    assert address == "" or address not in str(refusal.value)


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nb", "é", "a\x00"])
def test_a_header_that_is_not_one_line_of_ascii_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="one line of ASCII"):
        wire.header("To", value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mail_from": "Omroeper <omroeper@opdrachten.example>\r\nBcc: a@b.example"},
        {"mail_from": "Omroeper"},
        {"bounce_domain": "terug example"},
        {"public_url": "https://omroeper.example/>\r\nx"},
        {"templates_dir": "nergens/te/vinden"},
    ],
)
def test_settings_that_cannot_make_a_mail_are_refused_at_the_start(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Composer(replace(SETTINGS, **wrong))  # type: ignore[arg-type]


def test_two_hundred_receivers_share_one_rendering(tmp_path: Path) -> None:
    template = tmp_path / "email" / "nl" / "published.subject.j2"
    template.parent.mkdir(parents=True)
    template.write_text("Eenmaal: {{ title }}\n")
    composer = Composer(replace(SETTINGS, templates_dir=str(tmp_path)), clock=lambda: NOW)
    messages = [
        to_somebody(ANNOUNCED, target=f"a{n}@b.example", subscriber=f"Nummer {n}.") for n in range(200)
    ]
    first = composer.compose(messages[0]).raw
    template.write_text("Tweemaal: {{ title }}\n")
    mails = [composer.compose(message).raw for message in messages]
    assert mails[0] == first
    assert {read(raw)["Subject"] for raw in mails} == {"Eenmaal: Slimme sensoren voor kaaimuren"}
    assert [n for n, raw in enumerate(mails) if f"Nummer {n}.." in body(raw, "plain")] == list(range(200))
    assert len({read(raw)["Message-ID"] for raw in mails}) == 200


def overridden(tmp_path: Path, name: str, text: str) -> Settings:
    path = tmp_path / "email" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return replace(SETTINGS, templates_dir=str(tmp_path))


def test_an_operators_template_takes_the_place_of_ours(tmp_path: Path) -> None:
    ours = overridden(tmp_path, "nl/published.html.j2", "<p>{{ title }} {{ reason }}</p>")
    raw = composed(to_somebody(announced(title="<b>Vet</b>")), ours)
    assert "&lt;b&gt;Vet&lt;/b&gt; Je ontvangt dit" in body(raw, "html")
    assert "Waarom krijg je dit?" in body(raw, "plain")


def test_a_new_language_is_a_folder_of_templates(tmp_path: Path) -> None:
    for name in ("published.html.j2", "published.txt.j2", "published.subject.j2"):
        overridden(tmp_path, f"fr/{name}", "Avis: {{ title }} {{ deadline_day }}")
    raw = composed(to_somebody(language="fr"), replace(SETTINGS, templates_dir=str(tmp_path)))
    assert read(raw)["Content-Language"] == "fr"
    assert read(raw)["Subject"].startswith("Avis: ")


def test_a_template_for_all_languages_speaks_the_language_of_its_reader(tmp_path: Path) -> None:
    ours = overridden(tmp_path, "published.html.j2", "<p>{{ _('Unsubscribe') }} {{ deadline }}</p>")
    assert "Uitschrijven 12 januari 2027" in body(composed(to_somebody(), ours), "html")
    assert "Unsubscribe 12 January 2027" in body(composed(to_somebody(language="en"), ours), "html")


def test_a_template_of_one_language_is_for_its_readers_alone(tmp_path: Path) -> None:
    overridden(tmp_path, "layout.txt.j2", "{% include 'email/greeting.j2' %} {{ reason }}")
    overridden(tmp_path, "greeting.j2", "Hi!")
    ours = overridden(tmp_path, "nl/greeting.j2", "Dag!")
    assert body(composed(to_somebody(), ours), "plain").startswith("Dag! Je ontvangt dit")
    assert body(composed(to_somebody(language="en"), ours), "plain").startswith("Hi! You receive this")


def test_a_template_of_one_language_may_extend_the_common_one(tmp_path: Path) -> None:
    extended = "{% extends 'email/published.html.j2' %}{% block foot %}{{ super() }}Groeten!{% endblock %}"
    html = body(composed(to_somebody(), overridden(tmp_path, "nl/published.html.j2", extended)), "html")
    assert "Groeten!" in html
    assert "Uitschrijven" in html


@pytest.mark.parametrize(
    "template",
    [
        "{% extends 'email/nl/published.html.j2' %}",
        "{{ speech.catalogue.__init__.__globals__ }}",
        "{{ _('Sent by %(sender)s.') }}",
        "{{ unknown_name }}",
        "{{ title.__class__.__mro__ }}",
        "{% for %}",
        "{{ 1 / 0 }}",
        "{{ reason|upper }}",
        "{{ title + 1 }}",
        "{% extends 'email/nowhere.j2' %}",
    ],
)
def test_a_template_that_does_not_work_is_told_as_such(template: str, tmp_path: Path) -> None:
    with pytest.raises(BadTemplate):
        composed(to_somebody(), overridden(tmp_path, "nl/published.html.j2", template))


def test_the_subject_has_no_place_for_what_is_personal(tmp_path: Path) -> None:
    with pytest.raises(BadTemplate, match="subject"):
        composed(to_somebody(), overridden(tmp_path, "nl/published.subject.j2", "Voor {{ subscriber }}"))


RSA = generate_private_key(public_exponent=65537, key_size=2048)
ED25519 = Ed25519PrivateKey.generate()


def rsa_pem(form: PrivateFormat) -> str:
    return RSA.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def ed25519_seed() -> str:
    return base64.b64encode(ED25519.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())).decode()


def dns(name: bytes, timeout: int = 5) -> bytes:
    """Answer for the selectors `rsa` and `ed`, as a name server would."""
    if name.startswith(b"rsa."):
        public = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    public = ED25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public)


KEYS = [
    ("rsa", rsa_pem(PrivateFormat.PKCS8)),
    ("rsa", rsa_pem(PrivateFormat.TraditionalOpenSSL)),
    ("ed", ed25519_seed()),
]


@pytest.mark.parametrize(("selector", "key"), KEYS, ids=["rsa-pkcs8", "rsa-pkcs1", "ed25519"])
def test_a_signed_mail_verifies_until_somebody_touches_it(selector: str, key: str) -> None:
    raw = composed(to_somebody(announced(title="Één opdracht")))
    signed = Signer(selector, "opdrachten.example", key).sign(raw)
    assert signed.endswith(raw)
    assert dkim.verify(signed, dnsfunc=dns)
    assert not dkim.verify(signed.replace(b"/u/Zk3v", b"/u/Zk3w"), dnsfunc=dns)
    assert not dkim.verify(b"Subject: Iets anders\r\n" + signed, dnsfunc=dns)


def test_the_signature_covers_what_one_click_and_the_list_need() -> None:
    signed = Signer("ed", "opdrachten.example", ed25519_seed()).sign(composed(to_somebody()))
    covered = re.sub(r"\s", "", str(read(signed)["DKIM-Signature"])).partition(";h=")[2].partition(";")[0]
    assert set(covered.split(":")) >= {
        *("from", "to", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post"),
        *("list-id", "mime-version", "content-type", "auto-submitted"),
    }


def test_signing_is_asked_for_with_selector_and_key_together() -> None:
    assert signer_from(SETTINGS) is None
    with pytest.raises(ConfigError, match="DKIM_KEY"):
        signer_from(replace(SETTINGS, dkim_selector="s1"))
    with pytest.raises(ConfigError, match="DKIM_SELECTOR"):
        signer_from(replace(SETTINGS, dkim_key=ed25519_seed()))
    with pytest.raises(ConfigError, match="DKIM_KEY") as refusal:
        signer_from(replace(SETTINGS, dkim_selector="s1", dkim_key="geheim-maar-fout"))
    assert "geheim" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://relay.example", Relay("relay.example", 25)),
        ("smtp://127.0.0.1:2525", Relay("127.0.0.1", 2525)),
        ("smtp://relay.example:587?starttls=required", Relay("relay.example", 587, starttls=True)),
        ("smtp://relay.example?starttls=never", Relay("relay.example", 25, starttls=False)),
        ("smtps://relay.example", Relay("relay.example", 465, tls=True, starttls=False)),
        ("smtp://us%40er:p%3Aw@[::1]:26", Relay("::1", 26, username="us@er", password="p:w")),
    ],
)
def test_a_relay_is_read_from_its_url(url: str, relay: Relay) -> None:
    assert Relay.parse(url) == relay
    assert "p:w" not in repr(relay)


@pytest.mark.parametrize(
    "url",
    ["http://x", "smtp://", "smtp://x:y", "smtp://x?starttls=maybe", "smtp://x?tls=1", "smtp://x:99999"],
)
def test_a_wrong_relay_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="SMTP_URL"):
        Relay.parse(url)


@pytest.mark.parametrize(
    ("url", "verified"),
    [
        ("smtp://x", False),
        ("smtp://x?starttls=required", True),
        ("smtps://x", True),
        ("smtp://u:p@x", True),
    ],
)
def test_a_certificate_is_trusted_blindly_only_where_tls_is_a_bonus(url: str, verified: bool) -> None:
    assert Relay.parse(url).verified is verified
