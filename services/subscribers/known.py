"""Finds the subscriber that a path names, or says that there is none."""

from services.domain.subscriber import is_slug
from services.runtime.database import Connection
from services.runtime.web.problems import Refused
from services.storage import subscribers


def unknown_subscriber(slug: str) -> Refused:
    """Say that there is no such subscriber."""
    shown = f" {slug!r}" if is_slug(slug) else ""
    return Refused(404, f"There is no subscriber{shown}, or it has ended.")


async def shown(connection: Connection, slug: str) -> subscribers.Row:
    """Find a subscriber; raise `Refused`."""
    row = await subscribers.get(connection, slug) if is_slug(slug) else None
    if row is None:
        raise unknown_subscriber(slug)
    return row


async def held(connection: Connection, slug: str) -> subscribers.Row:
    """Find a subscriber (id and language), and keep it from ending meanwhile; raise `Refused`."""
    row = await subscribers.hold(connection, slug) if is_slug(slug) else None
    if row is None:
        raise unknown_subscriber(slug)
    return row
