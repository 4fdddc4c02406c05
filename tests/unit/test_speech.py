"""How dates, times, amounts and lists are written, and which language is chosen."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import DictLoader, Environment

from services.runtime.language import install, languages, speech, spoken

NOON = datetime(2027, 1, 12, 11, 0, tzinfo=UTC)
DUTCH, ENGLISH = speech("nl"), speech("en")


@pytest.mark.parametrize(
    ("amount", "currency", "dutch", "english"),
    [
        (139000, "EUR", "139.000 euro", "€139,000"),
        ("0.5", "EUR", "0,50 euro", "€0.50"),
        ("1234567.5", "EUR", "1.234.567,50 euro", "€1,234,567.50"),
        (0, "USD", "0 USD", "USD 0"),
    ],
)
def test_amounts_are_written_as_people_do(amount: str, currency: str, dutch: str, english: str) -> None:
    assert DUTCH.money(amount, currency) == dutch
    assert ENGLISH.money(amount, currency) == english


def test_moments_are_written_by_the_clock_in_brussels() -> None:
    assert DUTCH.day_and_time(NOON) == "12 januari 2027 om 12.00 uur"
    assert ENGLISH.day_and_time(NOON) == "12 January 2027 at 12:00 (Brussels time)"
    assert DUTCH.day_and_time(NOON - timedelta(hours=2, minutes=55)) == "12 januari 2027 om 9.05 uur"
    assert DUTCH.weekday(NOON) == "dinsdag 12 januari 2027"
    assert DUTCH.short(NOON) == "12 jan 2027 12.00"


def test_another_zone_is_written_by_its_own_clock() -> None:
    zone = ZoneInfo("Europe/Helsinki")
    assert DUTCH.day_and_time(NOON, zone) == "12 januari 2027 om 13.00 uur"
    assert ENGLISH.day_and_time(NOON, zone) == "12 January 2027 at 13:00"


@pytest.mark.parametrize(
    ("texts", "dutch"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a en b"),
        (list("abcde"), "a, b, c, d en e"),
        (list("abcdef"), "a, b, c, d, e en 1 andere"),
        (["a"] * 2005, "a, a, a, a, a en 2.000 andere"),
    ],
)
def test_a_list_is_written_as_in_a_sentence(texts: list[str], dutch: str) -> None:
    assert DUTCH.listed(texts) == dutch


@given(st.text(max_size=50))
def test_what_fills_a_text_is_never_filled_itself(value: str) -> None:
    assert DUTCH.listed([value, "%(n)s"]) == f"{value} en %(n)s"


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("nl-BE,nl;q=0.9,en;q=0.8", "nl"),
        ("en-GB,en;q=0.9", "en"),
        ("fi,en;q=0.5", "en"),
        ("fi", "nl"),
        ("", "nl"),
        ("../../nl", "nl"),
    ],
)
def test_the_first_language_that_we_speak_is_chosen(wanted: str, language: str) -> None:
    assert spoken(wanted) == language


def test_a_language_that_we_do_not_speak_is_english() -> None:
    finnish = speech("fi")
    assert (finnish.code, finnish.day(NOON)) == ("en", "12 January 2027")
    assert finnish.gettext("Unsubscribe") == "Unsubscribe"


FINNISH = """\
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"

msgid "Hello %(name)s, 100%% sure?"
msgstr "Hei %(name)s, 100%% varma?"

msgid "%(n)s more"
msgid_plural "%(n)s more"
msgstr[0] ""
msgstr[1] ""

msgid "Unsubscribe"
msgstr ""

#, fuzzy
msgid "Deadline"
msgstr "Ehkä"
"""


def test_a_new_language_is_a_folder_of_catalogues(tmp_path: Path) -> None:
    (tmp_path / "fi").mkdir()
    (tmp_path / "fi" / "all.po").write_text(FINNISH, "utf-8")
    assert languages(tmp_path) == ("en", "fi")
    finnish = speech("fi", tmp_path)
    assert finnish.code == "fi"
    assert finnish.day(NOON) == "12 tammikuuta 2027"
    untranslated = ("Unsubscribe", "Deadline", "What nobody knows")
    assert [finnish.gettext(text) for text in untranslated] == list(untranslated)
    assert finnish.listed(list("abcdef")) == "a, b, c, d, e and 1 more"

    template = "{{ _('Hello %(name)s, 100%% sure?', name=name) }} {{ noon|day }} {{ 5|money('EUR') }}"
    environment = Environment(loader=DictLoader({"a.html": template}), autoescape=True)
    install(environment, finnish)
    shown = environment.get_template("a.html").render(name="<b>%s", noon=NOON)
    assert shown == "Hei &lt;b&gt;%s, 100% varma? 12 tammikuuta 2027 €5"
