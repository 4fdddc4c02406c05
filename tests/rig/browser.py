"""A real browser: the system's Chromium, one for each test worker, and a fresh window for each look.

Rules:
1. Nothing leaves this machine: only loopback names resolve, and whatever asks for another fails the test.
2. What a page complains of fails the test: errors in its console, what its CSP refuses, what its scripts
   do not catch. That an address which was opened is answered with an error status is no complaint; nor is
   what htmx writes when a newer request, or another page, takes the place of one that is under way.
3. Windows share nothing: no cookies, no storage, no cache.
4. The tests of a module share one event loop, and one connection to the browser: `pytestmark = ONE_LOOP`.
"""

import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Connected
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, async_playwright

from tests.rig.fixtures import need
from tests.rig.run import folder
from tests.rig.waiting import wait_until

Scheme = Literal["light", "dark"]
#: What a module says whose tests ask for `browser`.
ONE_LOOP = pytest.mark.asyncio(loop_scope="module")
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_LOOPBACK = ("127.0.0.1", "localhost")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root may not have one; it sees our own pages alone
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",  # as on a phone, so that 320 px are 320 px
    "--remote-debugging-port=0",
    f"--host-resolver-rules=MAP * ~NOTFOUND, {', '.join(f'EXCLUDE {name}' for name in _LOOPBACK)}",
)
_MOST_MS = 15_000
_REPLACED = ("htmx:sendAbort", "htmx:afterRequest")


class Browser:
    """Opens windows, and keeps what the pages in them complain of."""

    def __init__(self, connected: Connected) -> None:
        self._connected = connected
        self._contexts: list[BrowserContext] = []
        self._opened: set[str] = set()
        self.complaints: list[str] = []

    async def window(
        self, *, width: int = 1024, scheme: Scheme = "light", language: str = "nl-BE", **more: Any
    ) -> Page:
        """Open a window of a reader of its own; `more` is what Playwright knows of contexts."""
        context = await self._connected.new_context(
            viewport={"width": width, "height": 768},
            color_scheme=scheme,
            locale=language,
            reduced_motion="reduce",
            **more,
        )
        self._contexts.append(context)
        context.set_default_timeout(_MOST_MS)
        self._watch(context)
        return await context.new_page()

    async def close(self) -> None:
        """Close all windows."""
        while self._contexts:
            await self._contexts.pop().close()

    def _watch(self, context: BrowserContext) -> None:
        context.on("request", self._on_request)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.complaints.append(f"not caught: {error.error}"))

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in _LOOPBACK:
            self.complaints.append(f"asked for {request.url}, which is not on this machine")
        if request.is_navigation_request():
            self._opened.add(request.url)

    def _on_console(self, message: ConsoleMessage) -> None:
        where = message.location["url"]
        answered = message.text.startswith("Failed to load resource: the server responded with a status of")
        expected = (answered and where in self._opened) or message.text.startswith(_REPLACED)
        if message.type == "error" and not expected:
            self.complaints.append(f"{where}: {message.text}")


def executable() -> str | None:
    """Find the browser of this system; None when it has none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def _chromium(node: None) -> Iterator[str]:
    path = executable()
    need(None if path else "needs Chromium (Debian's chromium)", "OMROEPER_REQUIRE_BROWSER")
    with _running(str(path)) as address:
        yield address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _connected(_chromium: str) -> AsyncIterator[Connected]:
    async with async_playwright() as playwright:
        connected = await playwright.chromium.connect_over_cdp(_chromium)
        yield connected
        await connected.close()


@pytest_asyncio.fixture(loop_scope="module")
async def browser(_connected: Connected) -> AsyncIterator[Browser]:
    """Give a browser of this test alone, as far as pages can tell; fails when one of them complained."""
    opened = Browser(_connected)
    yield opened
    await opened.close()
    assert not opened.complaints, "\n".join(opened.complaints)


@contextmanager
def _running(path: str) -> Iterator[str]:
    """Run Chromium with a new profile; give the address at which it is spoken to."""
    home = Path(tempfile.mkdtemp(prefix="chromium-", dir=folder()))
    with (home / "output.txt").open("wb") as log:
        process = subprocess.Popen(
            [path, *_FLAGS, f"--user-data-dir={home}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield str(wait_until(lambda: _address(process, home), seconds=60, what="Chromium"))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: "subprocess.Popen[bytes]", home: Path) -> str | None:
    if process.poll() is not None:
        said = (home / "output.txt").read_text("utf-8", "replace")
        raise RuntimeError(f"Chromium ended with {process.returncode}:\n{said[-2000:]}")
    try:
        port, path = (home / "DevToolsActivePort").read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return f"ws://127.0.0.1:{port}{path}"
