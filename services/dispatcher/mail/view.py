"""What a mail's template may show of an announcement: texts only, checked and in one language."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from services.dispatcher.message import Announcement
from services.domain.matching import title_of
from services.domain.opportunity import instant, text_in
from services.domain.reason import one_line, procedure_name, region_name
from services.domain.speech import Speech

_EXCERPT = 1_500
_DOCUMENTS = 10
_BLANK_LINES = re.compile(r"\n\s*\n")


def view(announcement: Announcement, language: str, said: Speech) -> dict[str, Any]:
    """Prepare the names a template knows; a fact that is not given is an empty text or list.

    The opportunity's own texts are chosen by `language`, and what we say of it is in `said`.
    """
    data = announcement.data
    texts = data.get("summary") or data.get("description")
    deadline = announcement.deadline
    return {
        "language": language,
        "event": announcement.type.removeprefix("opportunity."),
        "reference": one_line(announcement.subject),
        "title": one_line(title_of(dict(data), language)),
        "title_language": _language_of(data.get("title"), language),
        "summary": _paragraphs(text_in(texts, language)),
        "summary_language": _language_of(texts, language),
        "buyer": one_line((data.get("buyer") or {}).get("name") or ""),
        "url": https_or_nothing(data.get("url")),
        "deadline": said.day_and_time(deadline) if deadline else "",
        "deadline_day": said.day(deadline) if deadline else "",
        "facts": _facts(announcement, said),
        "documents": _documents(data),
    }


def https_or_nothing(url: object) -> str:
    """Give back an https link without user name or white space, and nothing in place of any other."""
    if not isinstance(url, str) or one_line(url) != url or re.search(r"[\s<>\"'`\\]", url):
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme == "https" and parts.hostname and "@" not in parts.netloc else ""


def _facts(announcement: Announcement, said: Speech) -> list[tuple[str, str]]:
    data, deadline = announcement.data, announcement.deadline
    value, contact = data.get("estimated_value"), data.get("contact") or {}
    questions = instant(data.get("questions_until"))
    found = [
        (said.gettext("Deadline"), said.day_and_time(deadline) if deadline else ""),
        (said.gettext("Questions until"), said.day_and_time(questions) if questions else ""),
        (said.gettext("Estimated value"), _value(value, said) if value else ""),
        (said.gettext("Region"), ", ".join(region_name(code, said) for code in data.get("regions", ()))),
        (said.gettext("Procedure"), _capital(procedure_name(data.get("procedure") or "", said))),
        (said.gettext("Themes"), ", ".join(data.get("themes", ()))),
        (said.gettext("Contact"), ", ".join(filter(None, (contact.get("name"), contact.get("email"))))),
        (said.gettext("Reference"), announcement.subject),
    ]
    return [(name, one_line(text)) for name, text in found if text]


def _value(value: Mapping[str, Any], said: Speech) -> str:
    amount = said.money(value["amount"], value.get("currency", "EUR"))
    return said.gettext("%(amount)s (excluding VAT)", amount=amount)


def _documents(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    links = [
        (one_line(d.get("title") or ""), https_or_nothing(d.get("url"))) for d in data.get("documents", ())
    ]
    return [(title or url, url) for title, url in links if url][:_DOCUMENTS]


def _paragraphs(text: str) -> list[list[str]]:
    """Split a text in paragraphs of lines, cut after a whole word when it is long."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(unified) > _EXCERPT:
        unified = unified[:_EXCERPT].rpartition(" ")[0] + " …"
    paragraphs = [[one_line(line) for line in part.split("\n")] for part in _BLANK_LINES.split(unified)]
    return [lines for paragraph in paragraphs if (lines := [line for line in paragraph if line])]


def _language_of(texts: Mapping[str, str] | None, language: str) -> str:
    """Tell in which language `text_in` answers, so that a screen reader speaks it well."""
    chosen = text_in(dict(texts or {}), language)
    wanted = (language, "nl", "en", *(texts or {}))
    return next((key for key in wanted if (texts or {}).get(key) == chosen), language)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
