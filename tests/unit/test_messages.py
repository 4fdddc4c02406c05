"""Every text has its translation, and `make messages` finds what has not."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import messages
from services.runtime.language import LOCALES, SOURCE, languages

USED = messages.texts()


@pytest.mark.parametrize("language", [code for code in languages() if code != SOURCE])
def test_our_catalogues_are_complete(language: str) -> None:
    known = messages.entries(LOCALES / language)
    missing = [f"{text.area}.po: {text.forms[0]!r} ({text.path})" for text in messages.missing(USED, known)]
    assert missing == [], "run make messages, and translate"
    assert messages.wrong(USED, known) == []


@pytest.mark.parametrize("path", sorted(LOCALES.glob("*/*.po")), ids=lambda path: path.stem)
def test_no_entry_stands_twice_in_a_catalogue(path: Path) -> None:
    written = re.findall(r"^msgid ", path.read_text("utf-8"), re.MULTILINE)
    known = [entry for entry in messages.entries(path.parent) if entry.area == path.stem]
    assert len(known) == len(written) - 1


def test_no_text_has_a_plural_here_and_none_there() -> None:
    one_form = {key for key, text in USED.items() if len(text.forms) == 1}
    assert ("", "%(n)s more") in USED.keys() - one_form
    assert {"Unsubscribe", "Antwerp", "Opportunities"} <= {key[1] for key in one_form}


CODE = """
def greet(said, name, n):
    later("In a table")
    counted("%(n)s thing", "%(n)s things")
    said.gettext(name)
    said.gettext(TABLE["not a text"])
    inner = f(said.gettext("Within %(x)s", x=g(said.pgettext("here", "Nested"))))
    return said.gettext("Of two " "parts")
"""
TEMPLATE = """
{% trans trimmed count=n %}
  One percent: 1%
{% pluralize %}
  {{ count }} percent
{% endtrans %}
{{ _("Hello %(name)s", name=name) }} {{ pgettext("there", "Nested") }} {{ _(name) }}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project: code, a template, a page of the demonstration, and no catalogue."""
    for name, text in (
        ("services/domain/greeting.py", CODE),
        ("templates/email/hello.html.j2", TEMPLATE),
        ("templates/pages/demo/home.html.j2", "{{ _('For developers') }}"),
        ("locale/nl/.keep", ""),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def test_texts_are_found_in_code_and_templates(project: Path) -> None:
    found = {(text.area, text.context, text.forms) for text in messages.texts(project).values()}
    assert found == {
        ("reason", "", ("In a table",)),
        ("reason", "", ("%(n)s thing", "%(n)s things")),
        ("reason", "", ("Within %(x)s",)),
        ("reason", "here", ("Nested",)),
        ("reason", "", ("Of two parts",)),
        ("mail", "", ("One percent: 1%%", "%(count)s percent")),
        ("mail", "", ("Hello %(name)s",)),
        ("mail", "there", ("Nested",)),
    }


def test_what_is_missing_is_added_to_be_translated_and_once_only(project: Path) -> None:
    used, folder = messages.texts(project), project / "locale" / "nl"
    (folder / "mail.po").write_text(
        '# Kept.\nmsgid ""\nmsgstr ""\n\nmsgid "Hello %(name)s"\nmsgstr "Dag %(name)s"\n'
    )
    messages.add(messages.missing(used, messages.entries(folder)), folder)
    known = messages.entries(folder)
    assert messages.missing(used, known) == []
    assert (folder / "mail.po").read_text("utf-8").startswith('# Kept.\nmsgid ""')
    untranslated = {entry.forms[0] for entry in known if not all(entry.said)}
    assert untranslated == {text.forms[0] for text in used.values()} - {"Hello %(name)s"}
    problems = messages.wrong(used, known)
    assert len(problems) == len(used) - 1
    assert all(": not translated: " in problem for problem in problems)


def said(text: str) -> Callable[[str], str]:
    return lambda entry: entry.replace('msgstr "Dag %(name)s"', f'msgstr "{text}"')


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (said("Dag %(naam)s"), "other places (%(name)s) than in English"),
        (said("Dag"), "other places (%(name)s) than in English"),
        (said("Dag %(name)s, 100%"), "a percent sign that is not written twice"),
        (said(""), "not translated"),
        (lambda entry: "#, fuzzy\n" + entry, "fuzzy"),
        (lambda entry: entry.replace("Hello", "Bye"), "not used any more"),
    ],
    ids=["renamed", "forgotten", "percent", "empty", "fuzzy", "unused"],
)
def test_what_is_wrong_with_an_entry_is_said(
    project: Path, spoil: Callable[[str], str], problem: str
) -> None:
    entry = 'msgid "Hello %(name)s"\nmsgstr "Dag %(name)s"\n'
    folder = project / "locale" / "nl"
    header = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
    (folder / "mail.po").write_text(header + spoil(entry))
    (found,) = messages.wrong(messages.texts(project), messages.entries(folder))
    assert found.startswith(f"mail.po: {problem}: ")


def test_two_areas_may_not_say_one_text_in_two_ways(project: Path) -> None:
    folder = project / "locale" / "nl"
    for area, translated in (("mail", "Dag %(name)s"), ("other", "Hoi %(name)s")):
        entry = f'msgid "Hello %(name)s"\nmsgstr "{translated}"\n'
        (folder / f"{area}.po").write_text(f'msgid ""\nmsgstr ""\n\n{entry}')
    (found,) = messages.wrong(messages.texts(project), messages.entries(folder))
    assert found == "other.po: also in mail.po, translated otherwise: 'Hello %(name)s'"
