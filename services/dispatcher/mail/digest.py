"""A mail about several opportunities: a digest, or a reminder of deadlines; made for one receiver."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
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


def render(
    mailing: Mailing, said: Speech, personal: Mapping[str, str], *, templates: Templates, now: datetime
) -> Rendered:
    """Render a mailing; raise `BadTemplate`.

    `personal` holds the names that every mail has: language, sender, subscriber, unsubscribe and public_url.
    """
    zone = ZoneInfo(mailing.timezone)
    shown = [_shown(item, personal["language"], said, now, zone) for item in mailing.items[:MOST]]
    reminder = mailing.kind == "reminder"
    context = {
        "items": shown,
        "count": len(mailing.items),
        "more": len(mailing.items) - len(shown),
        "reminder": reminder,
        "weekly": mailing.kind == "digest_weekly",
        "day": said.day(now, zone),
        **personal,
    }
    return templates.mailing("reminder" if reminder else "digest", personal["language"], context)


def _shown(item: Item, language: str, said: Speech, now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """Prepare the names a template knows of one opportunity."""
    about = item.announcement
    is_notice = about.type not in _WHOLE
    reasons = [explain(match, said, told_before=is_notice) for match in item.matches]
    return {
        **view(about, language, said),
        "event": "updated" if item.since else about.type.removeprefix("opportunity."),
        "notice": is_notice,
        "changes": sentences(item.changes, said),
        "days_left": days_left(about.deadline, now, zone) if about.deadline else None,
        "reason": " ".join(dict.fromkeys(reasons)),
    }
