"""Compares the texts in code and templates with the catalogues, and writes down what is not there yet.

A text that is missing gets an entry without translation in the file of its area, for a translator to
fill in; until then it is said in English. Nothing is taken away: what is no longer used is reported.

Rules for who writes texts:
1. In Python: `said.gettext("…")`, `ngettext`, `pgettext`; in a table `later("…")`, `counted("…", "…")`.
2. In templates: `{% trans %}`, `_("…")`, `ngettext(…)`, `pgettext(…)`.
3. A text is written out where it is marked, never put together.
"""

import ast
import io
import re
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_file
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from services.runtime.language import LOCALES

ROOT = Path(__file__).parents[1]
#: Which area a text belongs to, by where it first stands; the first row that fits.
AREAS = (
    ("*digest*", "cadence"),
    ("*reminder*", "cadence"),
    ("*cadence*", "cadence"),
    ("*change[ds].*", "cadence"),
    ("*standing*", "cadence"),
    ("*passing*", "passing"),
    ("*passed*", "passing"),
    ("*portal*", "portal"),
    ("*preferences*", "portal"),
    ("templates/email/letters/*", "letters"),
    ("templates/email/*", "mail"),
    ("templates/pages/*", "pages"),
    ("services/domain/speech.py", "speech"),
    ("services/domain/*", "reason"),
    ("services/dispatcher/*", "mail"),
    ("services/subscribers/feeds/*", "feeds"),
    ("services/subscribers/*", "pages"),
    ("*", "other"),
)
#: What is read by who operates or develops Omroeper, in English.
SKIPPED = ("templates/pages/demo/*",)
KEYWORDS = {**DEFAULT_KEYWORDS, "later": None, "counted": (1, 2)}
_TEMPLATE_OPTIONS = {"newstyle_gettext": "true", "trim_blocks": "true", "silent": "false"}
_PLACE = re.compile(r"%\((\w+)\)s")

#: A text as catalogues know it: its context (or ""), and itself or its singular.
Key = tuple[str, str]
#: What an extractor of Babel's gives: line, function, arguments, comments.
_Found = tuple[int, str, Any, list[str]]


@dataclass(frozen=True, slots=True)
class Text:
    """A text and where it stands; two forms when it has a plural. `filled`: its percent signs are doubled."""

    context: str
    forms: tuple[str, ...]
    path: str
    filled: bool

    @property
    def key(self) -> Key:
        """How catalogues know it."""
        return self.context, self.forms[0]

    @property
    def area(self) -> str:
        """The catalogue it belongs to."""
        return next(area for pattern, area in AREAS if fnmatch(self.path, pattern))


@dataclass(frozen=True, slots=True)
class Entry:
    """A text in a catalogue, and how it is said."""

    area: str
    context: str
    forms: tuple[str, ...]
    said: tuple[str, ...]
    fuzzy: bool

    @property
    def key(self) -> Key:
        """How catalogues know it."""
        return self.context, self.forms[0]


def texts(root: Path = ROOT) -> dict[Key, Text]:
    """Find every text in the code and templates."""
    found: dict[Key, Text] = {}
    for path in sorted([*root.glob("services/**/*.py"), *root.glob("templates/**/*.j2")]):
        name = path.relative_to(root).as_posix()
        if not any(fnmatch(name, pattern) for pattern in SKIPPED):
            for text in _texts_of(path, name):
                found.setdefault(text.key, text)
    return found


def entries(folder: Path) -> list[Entry]:
    """Read the entries of a language's catalogues."""
    found = []
    for path in sorted(folder.glob("*.po")):
        with path.open("rb") as file:
            read = [message for message in read_po(file, locale=folder.name) if message.id]
        found += [
            Entry(path.stem, m.context or "", _forms(m.id), _forms(m.string or ""), m.fuzzy) for m in read
        ]
    return found


def missing(used: Mapping[Key, Text], known: Sequence[Entry]) -> list[Text]:
    """List the texts without an entry."""
    keys = {entry.key for entry in known}
    return [text for key, text in used.items() if key not in keys]


def wrong(used: Mapping[Key, Text], known: Sequence[Entry]) -> list[str]:
    """Say what is wrong with entries, in sentences."""
    first: dict[Key, Entry] = {}
    return [
        f"{entry.area}.po: {problem}: {entry.forms[0]!r}"
        for entry in known
        for problem in _problems(entry, used.get(entry.key), first.setdefault(entry.key, entry))
    ]


def add(lacking: Sequence[Text], folder: Path) -> None:
    """Add entries without translation, each to the end of its area's catalogue."""
    for text in lacking:
        path = folder / f"{text.area}.po"
        before = path.read_text("utf-8").rstrip("\n") if path.exists() else _header(folder.name)
        path.write_text(f"{before}\n\n{_entry(text)}", "utf-8")


def main() -> int:
    """Report on every language and add what is missing; 1 when there is something to translate or mend."""
    used, failed = texts(), False
    for folder in sorted(path for path in LOCALES.iterdir() if path.is_dir()):
        known, language = entries(folder), folder.name
        lacking, problems = missing(used, known), wrong(used, known)
        add(lacking, folder)
        for text in lacking:
            print(f"{language}: {text.area}.po: added, to be translated: {text.forms[0]!r} ({text.path})")
        print("".join(f"{language}: {problem}\n" for problem in problems), end="")
        failed |= bool(lacking or problems)
    print(f"{len(used)} texts")
    return int(failed)


def _texts_of(path: Path, name: str) -> Iterator[Text]:
    template = path.suffix == ".j2"
    method: Any = babel_extract if template else _calls
    options = _TEMPLATE_OPTIONS if template else {}
    for _, message, _, context in extract_from_file(method, path, keywords=KEYWORDS, options=options):
        forms = _forms(message)
        yield Text(context or "", forms, name, filled=template or bool(_places(forms)))


def _calls(file: BinaryIO, keywords: Container[str], *_: Any, **__: Any) -> Iterator[_Found]:
    """Find the calls that mark a text in Python; unlike Babel's extractor, also within another call."""
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            given = [a.value if isinstance(a, ast.Constant) else None for a in node.args]
            if name in keywords and isinstance(given[0], str):
                yield node.lineno, name, given[0] if len(given) == 1 else tuple(given), []


def _problems(entry: Entry, text: Text | None, first: Entry) -> Iterator[str]:
    if text is None:
        yield "not used any more"
    elif len(entry.forms) != len(text.forms):
        yield "with a plural in one place, without in another"
    elif text.filled and not all(map(_fills, entry.said)):
        yield "a percent sign that is not written twice"
    if entry.said != first.said:
        yield f"also in {first.area}.po, translated otherwise"
    if entry.fuzzy:
        yield "fuzzy"
    if not all(entry.said):
        yield "not translated"
    elif not all(_fits(said, entry.forms) for said in entry.said):
        yield "other places (%(name)s) than in English"


def _fits(said: str, forms: tuple[str, ...]) -> bool:
    """Tell whether a translation has the places of the English; a plural's number may be a word."""
    everywhere = set.intersection(*(_places((form,)) for form in forms))
    counts = {"n", "num"} if len(forms) > 1 else set()
    return everywhere - counts <= _places((said,)) <= _places(forms)


def _fills(said: str) -> bool:
    try:
        said % dict.fromkeys(_places((said,)), "")
    except (ValueError, TypeError, KeyError):
        return False
    return True


def _places(forms: tuple[str, ...]) -> set[str]:
    return {name for form in forms for name in _PLACE.findall(form.replace("%%", ""))}


def _forms(message: Any) -> tuple[str, ...]:
    return (message,) if isinstance(message, str) else tuple(message)


def _header(language: str) -> str:
    lines = (
        "Content-Type: text/plain; charset=utf-8",
        f"Language: {language}",
        f"Plural-Forms: {Catalog(language).plural_forms}",
    )
    return "\n".join(('msgid ""', 'msgstr ""', *(f'"{line}\\n"' for line in lines)))


def _entry(text: Text) -> str:
    entry, written = Catalog(), io.BytesIO()
    entry.add(text.forms if len(text.forms) > 1 else text.forms[0], context=text.context or None)
    write_po(written, entry, omit_header=True, width=0)
    return written.getvalue().decode("utf-8").strip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
