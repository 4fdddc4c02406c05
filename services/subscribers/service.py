"""Wires the subscribers' side: the registry, the feeds, the pages behind links, and what comes back."""

from fastapi import APIRouter

from services.runtime.database import Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.runtime.web.auth import Guard
from services.subscribers import consent, registry, unsubscribe
from services.subscribers.bounces import api as bounces
from services.subscribers.bounces.lmtp import run_lmtp
from services.subscribers.feeds import api as feeds
from services.subscribers.passing import api as passing
from services.subscribers.passing import listing as passings
from services.subscribers.portal import site as portal

__all__ = ["routers", "run_lmtp"]


def routers(pool: Pool, vault: Vault, guard: Guard, settings: Settings) -> list[APIRouter]:
    """Make the routes of the registry, of the feeds, of the pages behind links, and of bounces."""
    return [
        registry.router(pool, vault, guard, settings),
        unsubscribe.router(pool, settings),
        consent.router(pool, vault, settings),
        bounces.router(pool, guard),
        feeds.router(pool, vault, guard, settings),
        passing.router(pool, settings),
        passings.router(pool, guard),
        portal.router(pool, vault, settings),
    ]
