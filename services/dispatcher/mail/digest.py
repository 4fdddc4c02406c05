"""A mail about several opportunities: a digest, or a reminder of deadlines; made for one receiver."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from services.dispatcher.mail.changed import sentences
from services.dispatcher.mail.templates import Rendered, Templates
from services.dispatcher.mail.view import view
from services.dispatcher.message import Item, Mailing
from services.domain.event import EventType
from services.domain.reason import explain
from services.domain.reminders import days_left
from services.domain.speech import Speech

#: More than this nobody reads; the rest stands in the portal.
MOST = 20
_WHOLE = (EventType.PUBLISHED, EventType.UPDATED)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a mailing: their language, its words, and what writes their link about an event (id)."""

    language: str
    said: Speech
    passed_on: Callable[[UUID], str] = field(repr=False)


def render(
    mailing: Mailing, reader: Reader, personal: Mapping[str, str], *, templates: Templates, now: datetime
) -> Rendered:
    """Render a mailing; raise `BadTemplate`.

    `personal` holds what every mail names: sender, subscriber, unsubscribe, preferences and public_url.
    """
    zone = ZoneInfo(mailing.timezone)
    shown = [_shown(item, reader, now, zone) for item in mailing.items[:MOST]]
    reminder = mailing.kind == "reminder"
    context = {
        "language": reader.language,
        "items": shown,
        "count": len(mailing.items),
        "more": len(mailing.items) - len(shown),
        "reminder": reminder,
        "weekly": mailing.kind == "digest_weekly",
        "day": reader.said.day(now, zone),
        **personal,
    }
    return templates.mailing("reminder" if reminder else "digest", reader.language, context)


def _shown(item: Item, reader: Reader, now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """Prepare the names a template knows of one opportunity."""
    about, said = item.announcement, reader.said
    is_notice = about.type not in _WHOLE
    reasons = [explain(match, said, told_before=is_notice) for match in item.matches]
    return {
        **view(about, reader.language, said),
        "event": "updated" if item.since else about.type.removeprefix("opportunity."),
        "notice": is_notice,
        "changes": sentences(item.changes, said),
        "days_left": days_left(about.deadline, now, zone) if about.deadline else None,
        "reason": " ".join(dict.fromkeys(reasons)),
        "passed_on": reader.passed_on(about.id),
    }
