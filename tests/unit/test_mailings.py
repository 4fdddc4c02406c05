"""What a digest and a reminder look like, and that nothing in them can break out; nothing is sent here."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.dispatcher.mail.composer import Composer
from services.dispatcher.mail.templates import BadTemplate
from services.dispatcher.message import Item, Mailing, Message
from services.domain.event import EventType
from tests.unit.test_mail import SETTINGS, announced, body, composed, read, to_somebody

NOW = datetime(2027, 1, 7, 7, 0, tzinfo=UTC)
NASTY = 'A <script>x</script> & "b"\u202e {{ 7 * 7 }} q%(day)s'


def mailing(*items: Item, kind: str = "digest_daily", **changes: object) -> Message:
    """A mailing with these items to an incubator."""
    message = to_somebody(items[0].announcement, mailing=Mailing(kind, "Europe/Brussels", items))
    return replace(message, **changes)  # type: ignore[arg-type]


def item(title: str = "Kade", **changes: Any) -> Item:
    """One opportunity that is new to the receiver."""
    return Item(announced(EventType.PUBLISHED, title=title, **changes), None, ({},))


def written(message: Message) -> bytes:
    return Composer(SETTINGS, clock=lambda: NOW).compose(message).raw


def test_its_headers_are_those_of_every_mail() -> None:
    raw = written(mailing(item(), item(), delivery_id=UUID("0190c0de-0000-7000-8000-00000000abcd")))
    mail = read(raw)
    assert mail["Message-ID"] == "<0190c0de00007000800000000000abcd@opdrachten.example>"
    assert mail["List-Unsubscribe"] == "<https://omroeper.example/u/Zk3vJ8c2Q0mP5rT7wX9yAb>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Content-Language"] == "nl"
    assert mail["Subject"] == "Je overzicht van 7 januari 2027: 2 opdrachten"
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


@pytest.mark.parametrize("kind", ["digest_daily", "digest_weekly", "reminder"])
@pytest.mark.parametrize("language", ["nl", "en", "fi"])
def test_the_same_delivery_is_the_same_mail_again(kind: str, language: str) -> None:
    message = mailing(item(), item(NASTY), kind=kind, language=language)
    assert written(message) == written(message)


@pytest.mark.parametrize("kind", ["digest_daily", "reminder"])
def test_what_others_wrote_stays_text(kind: str) -> None:
    changed = Item(
        announced(EventType.UPDATED, title=NASTY, buyer={"name": NASTY}), announced(), ({"text": NASTY},)
    )
    raw = written(mailing(changed, kind=kind, subscriber=f"{NASTY}\r\nBcc: x@evil.example"))
    html, text = body(raw, "html"), body(raw, "plain")
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "{{ 7 * 7 }}" in text
    assert "\u202e" not in html + text
    assert read(raw)["Bcc"] is None
    assert "%(day)s" in str(read(raw)["Subject"])


def test_one_alone_is_named_in_the_subject() -> None:
    assert read(written(mailing(item("Kade"))))["Subject"] == "Je overzicht: Kade"
    assert read(written(mailing(item("Kade"), kind="reminder")))["Subject"] == "Loopt over 5 dagen af: Kade"


@pytest.mark.parametrize(("days", "words"), [(0, "vandaag"), (1, "morgen"), (2, "over 2 dagen")])
def test_it_says_how_long_there_is(days: int, words: str) -> None:
    deadline = (datetime(2027, 1, 7, 12, tzinfo=UTC) + timedelta(days=days)).isoformat()
    assert f"({words})" in body(written(mailing(item(deadline=deadline), kind="reminder")), "plain")


def test_without_a_deadline_it_says_nothing_of_one() -> None:
    assert "indieningsdatum" not in body(written(mailing(item(deadline=None))), "plain")


def test_beyond_twenty_it_says_how_many_more_and_where() -> None:
    html = body(written(mailing(*(item(f"Nummer {n}") for n in range(21)))), "html")
    assert "Nummer 19" in html
    assert "Nummer 20" not in html
    assert 'href="https://omroeper.example/portal"' in html
    assert "Nog 1 opdracht in je overzicht" in html


@pytest.mark.parametrize(
    ("kind", "question"),
    [
        ("digest_daily", "Liever vaker of minder vaak, of even pauze?"),
        ("digest_weekly", "Liever vaker of minder vaak, of even pauze?"),
        ("reminder", "Liever geen herinneringen?"),
    ],
)
def test_its_foot_leads_to_the_preferences(kind: str, question: str) -> None:
    raw = written(mailing(item(), kind=kind))
    stop = "https://omroeper.example/u/Zk3vJ8c2Q0mP5rT7wX9yAb"
    for part in ("html", "plain"):
        text = body(raw, part)
        assert question in text
        assert f"{stop}/preferences" in text
        assert f"{stop}/preferences?" not in text
    assert (f"{stop}?all=1" in body(raw, "plain")) is (kind == "reminder")


def test_an_operators_own_digest_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "email").mkdir()
    (tmp_path / "email/digest.subject.j2").write_text("{{ count }} voor {{ subscriber }}")
    settings = replace(SETTINGS, templates_dir=str(tmp_path))
    assert read(composed(mailing(item()), settings))["Subject"] == "1 voor Corda INCubator"
    (tmp_path / "email/digest.subject.j2").write_text("{{ ''.__class__.__mro__ }}")
    with pytest.raises(BadTemplate):
        composed(mailing(item()), settings)
