"""The dispatcher's errands, run as it runs them: letters, probes, and what owners are told."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.dispatcher.letters import run_letters
from services.dispatcher.notices import run_notices
from services.dispatcher.probes import run_probes
from services.runtime.database import Pool
from services.runtime.parts import run_together
from services.runtime.settings import Settings
from tests.integration.owing import running, settings_for
from tests.integration.web import Answer, Api
from tests.rig.smtp import Mail, SmtpServer

_LINK = re.compile(r"https?://\S+/confirm/(\S+)")


@asynccontextmanager
async def errands(pool: Pool, settings: Settings) -> AsyncIterator[None]:
    """Run the errands until the block ends."""

    async def parts(stop: asyncio.Event) -> None:
        await run_together(
            stop,
            run_letters(pool, settings, stop),
            run_probes(pool, settings, stop),
            run_notices(pool, settings, stop),
        )

    async with running(parts):
        yield


@asynccontextmanager
async def mailing(pool: Pool, database_url: str, **changes: Any) -> AsyncIterator[SmtpServer]:
    """Run the errands with a relay of their own, and give it."""
    async with SmtpServer() as relay:
        settings = settings_for(database_url, smtp_url=relay.url, secret_key="k" * 32, **changes)
        async with errands(pool, settings):
            yield relay


async def send_json(api: Api, method: str, path: str, body: Any = None) -> Answer:
    """Send a JSON body, or none."""
    data = b"" if body is None else json.dumps(body).encode()
    return await api.ask(method, path, headers={"Content-Type": "application/json"}, data=data)


async def add_subscriber(api: Api, slug: str = "start-it", **more: Any) -> None:
    """Add a subscriber."""
    body = {"slug": slug, "name": "Start it", "kind": "incubator", **more}
    answer = await send_json(api, "POST", "/v1/subscribers", body)
    assert answer.status == 201, answer.body


async def add_subscription(api: Api, slug: str = "start-it", **body: Any) -> Answer:
    """Add a subscription."""
    return await send_json(api, "POST", f"/v1/subscribers/{slug}/subscriptions", body)


def text_of(mail: Mail) -> str:
    """Read the text part of a mail."""
    part = mail.message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def token_in(mail: Mail) -> str:
    """Find the token in a letter that asks to confirm; the HTML has the same link."""
    found = _LINK.search(text_of(mail))
    assert found
    html = mail.message.get_body(("html",))
    assert html is not None
    assert f"/confirm/{found[1]}" in html.get_content()
    return found[1]
