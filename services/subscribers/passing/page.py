"""What the page shows: which opportunity, who tells, what was told before, and the form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from babel import Locale

from services.domain.matching import title_of
from services.domain.reason import one_line
from services.domain.speech import Speech
from services.runtime.language import languages
from services.subscribers.passing import words
from services.subscribers.passing.form import Form

_EMPTY = Form()


@dataclass(frozen=True, slots=True)
class Shown:
    """What one request comes to: the form as it stands, its problems, and whether something was kept."""

    form: Form = _EMPTY
    problems: Mapping[str, str] = field(default_factory=dict)
    kept: Any = None


def view(about: Any, told: Sequence[Any], shown: Shown, said: Speech) -> dict[str, Any]:
    """Prepare the names that the template knows."""
    title = title_of({"id": about["subject"], "title": about["title"]}, said.code)
    return {
        "title": one_line(title),
        "title_language": _language_of(about["title"], title) or said.code,
        "buyer": one_line(about["buyer"] or ""),
        "subscriber": one_line(about["name"]),
        "ways": [(str(way), name) for way, name in words.ways(said).items()],
        "told": [
            {
                "way": row["way"],
                "says": words.summary(row, said),
                "at": row["corrected_at"] or row["at"],
            }
            for row in told
        ],
        "passed_on": any(row["startups"] != 0 for row in told),
        "kept": words.summary(shown.kept, said) if shown.kept else "",
        "form": shown.form,
        "problems": shown.problems,
        "others": [(code, Locale.parse(code).display_name) for code in languages() if code != said.code],
    }


def chosen(told: Sequence[Any], way: str) -> Form:
    """Fill the form in with what was told before of a way, so that it can be corrected."""
    for row in told:
        if row["way"] == way:
            return Form(way, "" if row["startups"] is None else str(row["startups"]))
    return _EMPTY


def _language_of(texts: Mapping[str, str] | None, text: str) -> str:
    """Tell which language a text is in, so that a screen reader speaks it well."""
    return next((code for code, each in (texts or {}).items() if each == text), "")
