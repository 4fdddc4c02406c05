"""What a person fills in on the page: checked with a sentence per problem, kept as it was written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.domain.passing_on import MOST_STARTUPS, Told, Way
from services.domain.speech import Speech

#: As people write numbers: 40, 1200, 1.200 or 1 200.
_NUMBER = re.compile(r"[0-9]{1,9}|[0-9]{1,3}(?:[ .,'\u00a0\u202f][0-9]{3}){1,2}")
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Form:
    """The fields as they were written; empty where nothing was."""

    way: str = ""
    startups: str = ""


def form_of(fields: Mapping[str, str]) -> Form:
    """Take the fields that we know, as far as anybody would write."""
    return Form(*(fields.get(name, "").strip()[:_LONGEST] for name in ("way", "startups")))


def check(form: Form, said: Speech) -> Told | dict[str, str]:
    """Read a form: what it tells, or else a sentence per field that has to be mended."""
    startups = _number(form.startups)
    problems = {}
    if form.way not in set(Way):
        problems["way"] = said.gettext("Choose how you passed it on.")
    if startups is None and form.startups:
        problems["startups"] = said.gettext(
            "Write the number in digits, such as 40. If you do not know it, leave it empty."
        )
    elif startups is not None and startups > MOST_STARTUPS:
        problems["startups"] = said.gettext(
            "That is more than %(most)s. Write about how many start-ups it was.",
            most=said.number(MOST_STARTUPS),
        )
    return problems or Told(way=Way(form.way), startups=startups)


def _number(text: str) -> int | None:
    return int(re.sub("[^0-9]", "", text)) if _NUMBER.fullmatch(text) else None
