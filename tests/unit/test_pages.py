"""What the pages say, in their reader's language, and that what they show stays text."""

from pathlib import Path

import pytest

from services.subscribers.pages import renderer

SHOWN = {
    "subscriber": "<b>Corda</b> 100%",
    "channel": "email",
    "destination": "c…@corda.example",
    "token": "t",
    "can_return": True,
}


@pytest.mark.parametrize(
    ("name", "dutch", "english"),
    [
        ("unsubscribe", "Geen opdrachten meer ontvangen?", "Stop receiving opportunities?"),
        ("unsubscribed", "Je bent uitgeschreven", "You are unsubscribed"),
        ("unknown", "Deze link kennen we niet", "We do not know this link"),
        ("unconfirmed", "Er is niets veranderd", "Nothing has changed"),
    ],
)
def test_a_page_is_in_the_language_of_its_reader(name: str, dutch: str, english: str) -> None:
    render = renderer("")
    for wanted, code, heading in (
        ("nl", "nl", dutch),
        ("fi", "nl", dutch),
        ("", "nl", dutch),
        ("en-GB,en;q=0.9", "en", english),
        ("fi,en;q=0.5", "en", english),
    ):
        page = render(name, 200, wanted, **SHOWN)
        html = bytes(page.body).decode()
        assert page.headers["Content-Language"] == code
        assert f'<html lang="{code}">' in html
        assert f"<h1>{heading}</h1>" in html


@pytest.mark.parametrize(
    ("channel", "way"), [("email", "per e-mail op"), ("webhook", "via een koppeling met")]
)
def test_what_a_page_shows_stays_text(channel: str, way: str) -> None:
    html = bytes(renderer("")("unsubscribe", 200, "nl", **{**SHOWN, "channel": channel}).body).decode()
    sentence = f"<strong>&lt;b&gt;Corda&lt;/b&gt; 100%</strong> krijgt overheidsopdrachten {way} <strong>c…@"
    assert sentence in html


def test_an_operators_page_takes_the_place_of_ours_and_is_translated(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "unknown.html.j2").write_text("{{ _('Unknown link') }}!")
    assert renderer(str(tmp_path))("unknown", 404, "nl").body == b"Onbekende link!"
