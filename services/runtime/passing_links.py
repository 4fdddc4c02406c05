"""Links by which subscribers tell that they passed an opportunity on, made with this process's settings."""

from collections.abc import Callable
from uuid import UUID

from services.domain.passing_on import PURPOSE, Door, passing_url
from services.runtime.settings import Settings

#: Writes a link for a subscriber (first id) about an event (second id).
PassingLink = Callable[[UUID, UUID], str]


def passing_links(settings: Settings, door: Door) -> PassingLink:
    """Make what writes the links that stand in one place: in mails, webhooks, feeds or the portal."""
    home, key = settings.public_url.rstrip("/"), settings.signing_keys(PURPOSE)[0]

    # not a partial: its repr would show the key
    def link(subscriber_id: UUID, event_id: UUID) -> str:
        return passing_url(home, key, subscriber_id, event_id, door)

    return link
