"""Wires the publisher: its routes, and the relay that runs beside them."""

from collections.abc import Sequence

from fastapi import APIRouter

from services.publisher import api, asyncapi, ledger_api
from services.publisher.relay import Relay
from services.runtime.database import Pool
from services.runtime.settings import Settings
from services.runtime.web.auth import Guard


def routers(pool: Pool, guard: Guard, settings: Settings, relay: Relay) -> Sequence[APIRouter]:
    """Make the publisher's routes."""
    return [
        api.router(pool, guard, settings, relay.wake),
        ledger_api.router(pool, guard),
        asyncapi.router(settings),
    ]
