"""Finds the languages we speak: the catalogues in services/locale, one folder a language, one file an area.

English is what stands in the code. A new language is a folder with `.po` files; nothing is compiled
beforehand.
"""

import io
from functools import lru_cache
from gettext import GNUTranslations
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from jinja2 import Environment

import services
from services.domain.speech import Speech

LOCALES = Path(services.__file__).parent / "locale"
FIRST, SOURCE = "nl", "en"
#: Whose dates and numbers are meant by a language without a country.
_COUNTRY = {"nl": "nl_BE", "en": "en_GB", "fr": "fr_BE", "de": "de_BE"}


@lru_cache(maxsize=8)
def languages(locales: Path = LOCALES) -> tuple[str, ...]:
    """List the languages we speak, Dutch first."""
    found = {path.parent.name for path in locales.glob("*/*.po")} | {SOURCE}
    return tuple(sorted(found, key=lambda code: (code != FIRST, code != SOURCE, code)))


def spoken(wanted: str, otherwise: str = FIRST) -> str:
    """Choose a language that we speak, from a tag or an Accept-Language header.

    >>> spoken("en-GB,en;q=0.9"), spoken("nl-BE"), spoken("fi"), spoken("fi", "en")
    ('en', 'nl', 'nl', 'en')
    """
    for tag in wanted.lower().split(","):
        code = tag.partition(";")[0].strip().partition("-")[0]
        if code in languages():
            return code
    return otherwise


@lru_cache(maxsize=32)
def speech(code: str, locales: Path = LOCALES) -> Speech:
    """Speak a language, given by its two letters; one that we do not know is English."""
    known = code if code in languages(locales) else SOURCE
    return Speech(known, Locale.parse(_COUNTRY.get(known, known)), _translations(locales / known))


def install(environment: Environment, said: Speech) -> None:
    """Let templates speak a language: `{% trans %}`, `_("…")`, and the filters day, day_and_time, …

    A percent sign in a translated text is written twice.
    """
    environment.add_extension("jinja2.ext.i18n")
    environment.install_gettext_translations(said.catalogue, newstyle=True)  # type: ignore[attr-defined]
    environment.globals["speech"] = said
    environment.filters |= {
        "day": said.day,
        "weekday": said.weekday,
        "time": said.time,
        "day_and_time": said.day_and_time,
        "short": said.short,
        "number": said.number,
        "money": said.money,
        "listed": said.listed,
    }


def _translations(folder: Path) -> GNUTranslations:
    """Merge a language's catalogues; without any, every text stays English."""
    merged = Catalog(locale=folder.name)
    for path in sorted(folder.glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=folder.name):
                if message.id and message.string and not message.fuzzy:
                    merged.add(message.id, message.string, context=message.context)
    compiled = io.BytesIO()
    write_mo(compiled, merged)
    compiled.seek(0)
    return GNUTranslations(compiled)
