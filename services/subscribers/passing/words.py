"""How the page speaks of the ways in which an opportunity is passed on."""

from typing import Any

from services.domain.passing_on import Way
from services.domain.speech import Speech


def ways(said: Speech) -> dict[Way, str]:
    """Name the ways."""
    return {
        Way.NEWSLETTER: said.gettext("In a newsletter"),
        Way.MAIL: said.gettext("By mail"),
        Way.MEETING: said.gettext("In a talk or at a meeting"),
        Way.WEBSITE: said.gettext("On our website"),
        Way.SOCIAL: said.gettext("On social media"),
        Way.CHAT: said.gettext("In a chat channel, such as Slack or WhatsApp"),
        Way.OTHER: said.gettext("In another way"),
    }


def summary(row: Any, said: Speech) -> str:
    """Say in one line what was told."""
    way, startups = Way(row["way"]), row["startups"]
    named = ways(said)[way]
    if startups is None:
        return named
    if startups == 0 and way is Way.OTHER:
        return said.gettext("Nobody suited this time")
    if startups == 0:
        return said.gettext("%(way)s: not passed on after all", way=named)
    told = said.ngettext("to about %(n)s start-up", "to about %(n)s start-ups", startups)
    return f"{named}, {told}"
