"""Says what changed in an opportunity, in sentences."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.domain.changes import Change, added_and_removed
from services.domain.opportunity import instant, text_in
from services.domain.reason import one_line, procedure_name, region_name
from services.domain.speech import Speech, later

_LONGEST = 300


def sentences(changes: Sequence[Change], said: Speech) -> list[str]:
    """Say each change in one sentence or two; what reads the same in this language is left out."""
    return [one_line(text) for change in changes for text in _SAY[change["field"]](change, said)]


Sentences = list[str]


def _moved(changed: str, added: str, gone: str) -> Callable[[Change, Speech], Sentences]:
    """Make the sayer of an instant, from what is said when it is moved, added and gone."""

    def say(change: Change, said: Speech) -> Sentences:
        before, after = instant(change["from"]), instant(change["to"])
        return [_fill(said, (changed, added, gone), _moment(before, said), _moment(after, said))]

    return say


def _moment(moment: datetime | None, said: Speech) -> str:
    return said.day_and_time(moment) if moment else ""


def _fill(said: Speech, texts: tuple[str, str, str], before: str, after: str) -> str:
    changed, added, gone = texts
    if before and after:
        return said.gettext(changed, before=before, after=after)
    return said.gettext(added, after=after) if after else said.gettext(gone, before=before)


def _worded(
    changed: str, added: str, gone: str, *, words: Callable[[Any, Speech], str]
) -> Callable[[Change, Speech], Sentences]:
    """Make the sayer of a value that is written by `words`; alike in this language, nothing is said."""

    def say(change: Change, said: Speech) -> Sentences:
        before, after = (_short(words(change[end], said)) if change[end] else "" for end in ("from", "to"))
        return [] if before == after else [_fill(said, (changed, added, gone), before, after)]

    return say


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"


def _plainly(text: str) -> Callable[[Change, Speech], Sentences]:
    def say(change: Change, said: Speech) -> Sentences:
        return [said.gettext(text)]

    return say


def _listed(
    added: str, removed: str, *, words: Callable[[Any, Speech], str]
) -> Callable[[Change, Speech], Sentences]:
    """Make the sayer of a list: what it gained, and what it lost."""

    def say(change: Change, said: Speech) -> Sentences:
        gained, lost = ([words(item, said) for item in items] for items in added_and_removed(change))
        return [
            said.gettext(text, items=_short(said.listed(items)))
            for text, items in ((added, gained), (removed, lost))
            if items
        ]

    return say


def _money(value: Mapping[str, Any], said: Speech) -> str:
    return said.money(value["amount"], value.get("currency", "EUR"))


def _text(texts: Mapping[str, str], said: Speech) -> str:
    return text_in(dict(texts), said.code)


def _contact(value: Mapping[str, Any], said: Speech) -> str:
    return ", ".join(filter(None, (value.get("name"), value.get("email"))))


def _document(value: Mapping[str, Any], said: Speech) -> str:
    return str(value.get("title") or value.get("url") or "")


def _as_it_is(value: object, said: Speech) -> str:
    return str(value)


_SAY: Mapping[str, Callable[[Change, Speech], Sentences]] = {
    "deadline": _moved(
        later("The deadline has moved from %(before)s to %(after)s."),
        later("There is a deadline now: %(after)s."),
        later("There is no deadline any more; it was %(before)s."),
    ),
    "questions_until": _moved(
        later("Questions can now be asked until %(after)s; it was %(before)s."),
        later("Questions can be asked until %(after)s."),
        later("It no longer says until when questions can be asked; it was %(before)s."),
    ),
    "title": _worded(
        later("The title was “%(before)s” and is now “%(after)s”."),
        later("The title is now “%(after)s”."),
        later("The title “%(before)s” is gone."),
        words=_text,
    ),
    "summary": _plainly(later("The summary has changed.")),
    "description": _plainly(later("The description has changed.")),
    "estimated_value": _worded(
        later("The estimated value was %(before)s and is now %(after)s."),
        later("The estimated value is now given: %(after)s."),
        later("The estimated value is no longer given; it was %(before)s."),
        words=_money,
    ),
    "documents": _listed(
        later("Documents added: %(items)s."), later("Documents taken away: %(items)s."), words=_document
    ),
    "buyer": _worded(
        later("The buyer was %(before)s and is now %(after)s."),
        later("The buyer is now given: %(after)s."),
        later("The buyer is no longer given; it was %(before)s."),
        words=lambda buyer, said: str(buyer["name"]),
    ),
    "procedure": _worded(
        later("The procedure was %(before)s and is now %(after)s."),
        later("The procedure is now given: %(after)s."),
        later("The procedure is no longer given; it was %(before)s."),
        words=procedure_name,
    ),
    "nature": _plainly(later("The kind of contract (works, supplies or services) has changed.")),
    "regions": _listed(
        later("Regions added: %(items)s."),
        later("Regions taken away: %(items)s."),
        words=region_name,
    ),
    "themes": _listed(
        later("Themes added: %(items)s."), later("Themes taken away: %(items)s."), words=_as_it_is
    ),
    "cpv": _listed(
        later("CPV codes added: %(items)s."), later("CPV codes taken away: %(items)s."), words=_as_it_is
    ),
    "audience": _listed(
        later("Audience added: %(items)s."), later("Audience taken away: %(items)s."), words=_as_it_is
    ),
    "url": _plainly(later("The link to the opportunity has changed.")),
    "contact": _worded(
        later("The contact was %(before)s and is now %(after)s."),
        later("The contact is now given: %(after)s."),
        later("The contact is no longer given; it was %(before)s."),
        words=_contact,
    ),
}
