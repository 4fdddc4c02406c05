"""What a newcomer does: run a command, read what it says, look at an address."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.rig.process import clean_environment

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, read as JSON."""
        return json.loads(self.out)


async def command(*args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> Said:
    """Run `omroeper ARGS` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        *args,
        env=clean_environment(env or {}),
        cwd=ROOT,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(stdin or b""), 90)
    return Said(process.returncode or 0, out.decode(), err.decode())


async def look(url: str, key: str | None = None, **headers: str) -> tuple[int, str]:
    """Open an address; give the status and the text."""
    if key:
        headers["Authorization"] = f"Bearer {key}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text()


async def post(
    url: str, body: Any, key: str | None = None, content_type: str = "application/json"
) -> tuple[int, Any]:
    """Post JSON; give the status and the answer."""
    headers = {"Content-Type": content_type} | ({"Authorization": f"Bearer {key}"} if key else {})
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=json.dumps(body).encode(), headers=headers) as response,
    ):
        text = await response.text()
        return response.status, json.loads(text) if text else None
