"""Wires the subscribers' side: the registry, and the way out of it."""

from fastapi import APIRouter

from services.runtime.database import Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.runtime.web.auth import Guard
from services.subscribers import registry, unsubscribe


def routers(pool: Pool, vault: Vault, guard: Guard, settings: Settings) -> list[APIRouter]:
    """Make the routes of the registry and of the unsubscribe pages."""
    return [registry.router(pool, vault, guard, settings), unsubscribe.router(pool, settings)]
