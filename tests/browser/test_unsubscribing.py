"""Unsubscribing with a keyboard alone, with and without scripts."""

import pytest
from playwright.async_api import Page

from services.runtime.vault import token_hash
from tests.browser.scenes import LANGUAGES, PAGES, Scene
from tests.rig.browser import ONE_LOOP, Browser

DONE = {"nl": "Je bent uitgeschreven", "en": "You are unsubscribed"}


pytestmark = ONE_LOOP


async def status(served: Scene, language: str) -> str:
    """Tell how the subscription behind a link stands."""
    found: str = await served.pool.fetchval(
        "SELECT status FROM subscriptions WHERE unsubscribe_hash = $1",
        token_hash(served.names[f"subscribed_{language}"]),
    )
    return found


async def heading(page: Page) -> str:
    return await page.get_by_role("heading", level=1).inner_text()


@pytest.mark.parametrize("language", LANGUAGES)
async def test_tab_and_enter_are_all_it_takes(served: Scene, browser: Browser, language: str) -> None:
    place = next(place for place in PAGES if place.name == f"unsubscribe {language}")
    page = await served.open(browser, place)
    assert await status(served, language) == "active"
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.matches('button[type=submit]')")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    assert await heading(page) == DONE[language]
    assert await status(served, language) == "ended"
    await page.reload()
    assert await heading(page) == DONE[language]


async def test_it_works_without_scripts(served: Scene, browser: Browser) -> None:
    house = await served.here.house()
    page = await browser.window(java_script_enabled=False)
    await page.goto(f"{served.url}/u/{house.link}")
    async with page.expect_navigation():
        await page.get_by_role("button").click()
    assert await heading(page) == DONE["nl"]
