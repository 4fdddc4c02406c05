"""Words of the mails that depend on the language: dates, and the names of facts."""

from datetime import datetime
from zoneinfo import ZoneInfo

from services.domain.reason import is_dutch

_BRUSSELS = ZoneInfo("Europe/Brussels")
_MONTHS = (
    ("januari", "January"),
    ("februari", "February"),
    ("maart", "March"),
    ("april", "April"),
    ("mei", "May"),
    ("juni", "June"),
    ("juli", "July"),
    ("augustus", "August"),
    ("september", "September"),
    ("oktober", "October"),
    ("november", "November"),
    ("december", "December"),
)
_LABELS = {
    "deadline": ("Uiterste indieningsdatum", "Deadline"),
    "questions_until": ("Vragen tot", "Questions until"),
    "value": ("Geraamde waarde", "Estimated value"),
    "regions": ("Regio", "Region"),
    "procedure": ("Procedure", "Procedure"),
    "themes": ("Thema's", "Themes"),
    "contact": ("Contact", "Contact"),
    "reference": ("Referentie", "Reference"),
}
_WITHOUT_VAT = ("exclusief btw", "excluding VAT")


def label(name: str, language: str) -> str:
    """Name a fact."""
    return _LABELS[name][_column(language)]


def without_vat(amount: str, language: str) -> str:
    """Say that an amount is without VAT."""
    return f"{amount} ({_WITHOUT_VAT[_column(language)]})"


def day(moment: datetime, language: str) -> str:
    """Write the date in Brussels.

    >>> day(datetime.fromisoformat("2027-01-12T12:00:00+01:00"), "nl")
    '12 januari 2027'
    """
    local = moment.astimezone(_BRUSSELS)
    return f"{local.day} {_MONTHS[local.month - 1][_column(language)]} {local.year}"


def day_and_time(moment: datetime, language: str) -> str:
    """Write the date and time in Brussels.

    >>> day_and_time(datetime.fromisoformat("2027-01-12T11:00:00+00:00"), "nl")
    '12 januari 2027 om 12.00 uur'
    """
    local = moment.astimezone(_BRUSSELS)
    if is_dutch(language):
        return f"{day(moment, language)} om {local.hour}.{local:%M} uur"
    return f"{day(moment, language)} at {local:%H:%M} (Brussels time)"


def _column(language: str) -> int:
    return 0 if is_dutch(language) else 1
