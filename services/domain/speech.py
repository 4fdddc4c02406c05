"""How we speak to people: texts in their language, dates, times and amounts as they write them.

Rules:
1. Every text is English in the code and in the templates, and translated by a catalogue; Dutch comes first.
2. What is counted is never glued together: plurals go through `ngettext`.
3. Moments are written by the clock in Brussels, unless another zone is given.
4. A text without a translation stays English; a test keeps our own catalogues complete.
5. `make messages` finds texts where they are said; one that stands elsewhere, in a table, is marked
   `later`, or `counted` when it has a plural.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Protocol
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_decimal

BRUSSELS = ZoneInfo("Europe/Brussels")


class Catalogue(Protocol):
    """Translates; `gettext.GNUTranslations` is one."""

    def gettext(self, message: str) -> str: ...
    def ngettext(self, one: str, many: str, n: int) -> str: ...
    def pgettext(self, context: str, message: str) -> str: ...


def later(message: str) -> str:
    """Mark a text that is translated where it is said."""
    return message


def counted(one: str, many: str) -> tuple[str, str]:
    """Mark a text with a plural that is translated where it is said."""
    return one, many


@dataclass(frozen=True, slots=True)
class Speech:
    """One language: `code` as in `lang` attributes, the locale of its dates, its catalogue."""

    code: str
    locale: Locale
    catalogue: Catalogue

    def gettext(self, message: str, **values: object) -> str:
        """Say a text, its `%(name)s` places filled."""
        text = self.catalogue.gettext(message)
        return text % values if values else text

    def ngettext(self, one: str, many: str, n: int, **values: object) -> str:
        """Say a text about `n` things; `%(n)s` is their number, written as people do."""
        text = self.catalogue.ngettext(one, many, n)
        return text % ({"n": self.number(n), **values} if "%(n)s" in text else values)

    def pgettext(self, context: str, message: str, **values: object) -> str:
        """Say a text that means another thing elsewhere; `context` tells which."""
        text = self.catalogue.pgettext(context, message)
        return text % values if values else text

    def number(self, number: int | float | Decimal) -> str:
        """Write a number: 12.000 in Dutch."""
        return format_decimal(number, locale=self.locale)

    def money(self, amount: Decimal | int | float | str, currency: str) -> str:
        """Write an amount: no cents when there are none, and `139.000 euro` in Dutch."""
        value = Decimal(str(amount))
        pattern = "#,##0" if value == value.to_integral_value() else "#,##0.00"
        written = format_decimal(value, pattern, locale=self.locale)
        if currency == "EUR":
            return self.gettext("€%(amount)s", amount=written)
        return self.gettext("%(currency)s %(amount)s", currency=currency, amount=written)

    def day(self, moment: datetime, zone: tzinfo = BRUSSELS) -> str:
        """Write a date: 12 januari 2027."""
        return format_date(moment.astimezone(zone).date(), "d MMMM y", locale=self.locale)

    def weekday(self, moment: datetime, zone: tzinfo = BRUSSELS) -> str:
        """Write a date with its day of the week: dinsdag 12 januari 2027."""
        return format_date(moment.astimezone(zone).date(), "EEEE d MMMM y", locale=self.locale)

    def time(self, moment: datetime, zone: tzinfo = BRUSSELS) -> str:
        """Write a time of day: 12.00 in Dutch."""
        return format_time(
            moment.astimezone(zone), self.pgettext("time pattern", "HH:mm"), locale=self.locale
        )

    def day_and_time(self, moment: datetime, zone: tzinfo = BRUSSELS) -> str:
        """Write a date and time: 12 januari 2027 om 12.00 uur; in English it says whose time it is."""
        day, time = self.day(moment, zone), self.time(moment, zone)
        if zone is BRUSSELS:
            return self.gettext("%(day)s at %(time)s (Brussels time)", day=day, time=time)
        return self.gettext("%(day)s at %(time)s", day=day, time=time)

    def short(self, moment: datetime, zone: tzinfo = BRUSSELS) -> str:
        """Write a date and time for a table: 12 jan. 2027 12.00."""
        pattern = self.pgettext("short date and time pattern", "d MMM y HH:mm")
        return format_datetime(moment.astimezone(zone), pattern, locale=self.locale)

    def listed(self, texts: Sequence[str], most: int = 5) -> str:
        """Write texts as a list in a sentence; beyond `most` it says how many more there are."""
        shown = list(texts[:most])
        if left := len(texts) - len(shown):
            shown.append(self.ngettext("%(n)s more", "%(n)s more", left))
        if len(shown) < 2:
            return "".join(shown)
        return self.gettext("%(first)s and %(last)s", first=", ".join(shown[:-1]), last=shown[-1])
