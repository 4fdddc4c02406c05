"""Letters: what the owner of a disabled target reads, and what a new letter is made of."""

from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.dispatcher.mail.letter import Writer
from services.dispatcher.mail.templates import BadTemplate, Templates
from services.dispatcher.notices import letter_of, whom
from services.runtime.settings import Settings

SETTINGS = Settings(mail_from="Omroeper <omroeper@opdrachten.example>", disable_after_hours=120)
NOTICE = {
    "id": UUID("0190c0de-0000-7000-8000-00000000abcd"),
    "language": "nl",
    "subscriber": "Corda <b>INCubator</b>",
    "contact": "info@corda.example",
    "target": "https://corda.example/hook?a=1&b=2",
    "kind": "dead",
    "channel": "webhook",
    "people": [],
    "alone": False,
}
NASTY = "Corda <b>INCubator</b>\r\nBcc: x@evil.example"
DUTCH = {
    "gone": "Je webhook antwoordde met 410 (Gone).",
    "dead": "Je webhook gaf al 5 dagen bij elke poging een fout.",
    "bounced": "Onze mails naar dit adres kwamen terug",
    "complained": "werd als ongewenst gemeld.",
}
ENGLISH = {
    "gone": "Your webhook answered 410 (Gone).",
    "dead": "Your webhook has failed at every try for 5 days",
    "bounced": "Our mails to this address came back",
    "complained": "was reported as unwanted.",
}


def written(settings: Settings = SETTINGS, **changes: Any) -> tuple[str, dict[str, str]]:
    """Write a notice; give its subject, and its parts by kind, white space folded."""
    notice: Any = {**NOTICE, **changes}
    letter = letter_of(notice, "info@corda.example", settings)
    raw = (
        Writer(settings).write(notice["id"], letter.kind, letter.language, letter.recipient, letter.shown).raw
    )
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    parts = {part.get_content_subtype(): part.get_content() for part in message.iter_parts()}
    assert message["Content-Language"] == ("en" if notice["language"] == "en" else "nl")
    return message["Subject"], {kind: " ".join(text.split()) for kind, text in parts.items()}


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("kind", DUTCH)
def test_the_owner_reads_what_happened_and_what_to_do(kind: str, language: str) -> None:
    subject, parts = written(kind=kind, language=language)
    for text in parts.values():
        assert (DUTCH if language == "nl" else ENGLISH)[kind] in text
        assert ("Antwoord daarvoor op deze mail." if language == "nl" else "Answer this mail") in text
    about_mail = kind in ("bounced", "complained")
    assert ("mail" in subject) == about_mail
    assert ("webhook" in parts["plain"]) == (not about_mail)


def test_both_parts_hold_the_same_and_only_one_is_html() -> None:
    _, parts = written()
    assert parts["plain"].startswith("Dag Corda <b>INCubator</b>, Je webhook gaf")
    assert "https://corda.example/hook?a=1&b=2 Nieuwe opdrachten" in parts["plain"]
    assert parts["plain"].endswith("-- Omroeper")
    assert "Dag Corda &lt;b&gt;INCubator&lt;/b&gt;," in parts["html"]
    assert ">Je webhook is uitgeschakeld</h1>" in parts["html"]
    assert "<title>Je webhook is uitgeschakeld</title>" in parts["html"]
    assert "Verstuurd door Omroeper." in parts["html"]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_who_has_no_other_way_left_reads_so(language: str) -> None:
    says = "op geen enkele andere manier" if language == "nl" else "in no other way"
    for alone in (True, False):
        _, parts = written(language=language, alone=alone)
        assert [says in text for text in parts.values()] == [alone, alone]


@pytest.mark.parametrize(
    ("contact", "people", "told"),
    [
        (None, [], []),
        ("A@x.example", ["b@x.example", "a@x.example"], ["A@x.example", "b@x.example"]),
        ("Dead@x.example", ["b@x.example"], ["b@x.example"]),
        ("Dead@x.example", [], []),
    ],
)
def test_everybody_is_told_once_but_not_the_address_that_is_dead(
    contact: str | None, people: list[str], told: list[str]
) -> None:
    notice: Any = {
        **NOTICE,
        "channel": "email",
        "target": "dead@x.example",
        "contact": contact,
        "people": people,
    }
    assert whom(notice) == told


def test_days_are_counted_as_people_do() -> None:
    _, parts = written(replace(SETTINGS, disable_after_hours=24))
    assert "Je webhook gaf al een dag lang bij elke poging een fout." in parts["plain"]


def test_a_new_letter_fills_the_blocks_of_the_layout(tmp_path: Path) -> None:
    letters = tmp_path / "email" / "letters"
    letters.mkdir(parents=True)
    (letters / "hello.subject.j2").write_text("Hoi\n{{ name }}")
    (letters / "hello.txt.j2").write_text(
        "{% extends 'email/letters/layout.txt.j2' %}{% block body %}{{ link }}{% endblock %}"
    )
    (letters / "hello.html.j2").write_text(
        "{% extends 'email/letters/layout.html.j2' %}{% block heading %}{{ name }}{% endblock %}"
        "{% block button %}<a class='button' href='{{ link }}'>{{ _('Unsubscribe') }}</a>{% endblock %}"
    )
    shown = {"name": "<Jan>", "link": "https://x.example/?a=1&b=2", "sender": "Omroeper"}
    letter = Templates(str(tmp_path)).letter("hello", "nl", shown)
    assert letter.subject == "Hoi <Jan>"
    assert letter.text == "https://x.example/?a=1&b=2\n\n-- \nOmroeper\n"
    assert ">&lt;Jan&gt;</h1>" in letter.html
    assert '<html lang="nl"' in letter.html
    assert 'href="https://x.example/?a=1&amp;b=2"' in letter.html
    assert "{{" not in letter.html
    with pytest.raises(BadTemplate, match="letters/hello"):
        Templates(str(tmp_path)).letter("hello", "nl", {})


@pytest.mark.parametrize(
    ("language", "added_by", "says"),
    [
        ("nl", "els@corda.example", "els@corda.example heeft je toegevoegd"),
        ("nl", "", "De beheerder heeft je toegevoegd"),
        ("en", "els@corda.example", "els@corda.example added you"),
        ("en", "", "The operator added you"),
    ],
)
def test_who_is_added_reads_by_whom_and_where_to_sign_in(language: str, added_by: str, says: str) -> None:
    shown = {
        "subscriber": NASTY,
        "added_by": added_by,
        "sender": "Omroeper",
        "public_url": "https://omroeper.example",
    }
    letter = Templates().letter("invited", language, shown)
    for text in (letter.text, letter.html):
        assert says in " ".join(text.split())
        assert "https://omroeper.example/portal/sign-in" in text
    assert "<b>" not in letter.html
    assert "\n" not in letter.subject
