"""Wires the dispatcher: planner, mailings, senders, sweeper, letters, probes, and its routes."""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter

from services.dispatcher import api
from services.dispatcher.contents import Contents
from services.dispatcher.letters import run_letters
from services.dispatcher.mailings import run_mailings
from services.dispatcher.notices import run_notices
from services.dispatcher.planner import Assigned, run_planner
from services.dispatcher.probes import run_probes
from services.dispatcher.recorder import Recorder
from services.dispatcher.registry import CHANNELS, ChannelSpec
from services.dispatcher.sender import Sender
from services.dispatcher.status_relay import run_status_relay
from services.dispatcher.sweeper import run_sweeper
from services.runtime.database import Pool
from services.runtime.listen import listen
from services.runtime.parts import run_together
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.runtime.web.auth import Guard


def routers(pool: Pool, guard: Guard) -> Sequence[APIRouter]:
    """Make the dispatcher's routes."""
    return [api.router(pool, guard)]


async def run_dispatcher(
    pool: Pool, settings: Settings, stop: asyncio.Event, assigned: Assigned | None = None
) -> None:
    """Plan, send, sweep and tell until `stop`; `assigned` hears when planning begins."""
    vault = Vault(settings)
    senders = [_sender(spec, pool, settings, vault) for spec in CHANNELS.values()]

    def wake() -> None:
        for sender in senders:
            sender.wake()

    await run_together(
        stop,
        run_planner(pool, settings, stop, assigned),
        run_sweeper(pool, settings, stop),
        run_mailings(pool, stop),
        run_status_relay(pool, settings, stop),
        run_notices(pool, settings, stop),
        run_letters(pool, settings, stop),
        run_probes(pool, settings, stop),
        listen(settings.database_url, "deliveries_owed", wake, stop),
        *(sender.run(stop) for sender in senders),
    )


def _sender(spec: ChannelSpec, pool: Pool, settings: Settings, vault: Vault) -> Sender:
    recorder = Recorder(pool, spec.breaker_policy(settings), judges_refusals=spec.judges_refusals)
    return Sender(
        spec.make(settings),
        spec.policy(settings),
        pool=pool,
        recorder=recorder,
        contents=Contents(),
        vault=vault,
    )
