"""Every page, light and dark: held against WCAG 2.2 AA, on a phone of 320 px, with a keyboard alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.runtime.database import Pool
from tests.browser.scenes import PAGES, SCHEMES, Place, Scene, scene
from tests.rig.axe import BEST, no_violations
from tests.rig.browser import Browser
from tests.rig.looking import fits, keyboard, picture


@pytest.fixture
async def served(pool: Pool, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(pool, tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("place", PAGES, ids=lambda place: place.name)
async def test_a_page_is_for_everybody(served: Scene, browser: Browser, place: Place) -> None:
    for scheme in SCHEMES:
        page = await served.open(browser, place, scheme)
        await no_violations(page, BEST)
        await picture(page, f"{place.name} {scheme}")
        await page.set_viewport_size({"width": 320, "height": 640})
        await no_violations(page, BEST)
        await picture(page, f"{place.name} {scheme} 320")
    await keyboard(page)
    await fits(page)
    assert await page.title()


async def test_pages_without_anything_yet_are_for_everybody_too(
    pool: Pool, tmp_path: Path, browser: Browser
) -> None:
    async with scene(pool, tmp_path, empty=True) as served:
        for path in ("/", "/demo/mails", "/demo/webhooks"):
            page = await served.open(browser, Place(path, path, "en"))
            await no_violations(page, BEST)
            await fits(page)


async def test_a_form_that_is_refused_says_what_is_wrong_and_where(served: Scene, browser: Browser) -> None:
    for scheme in SCHEMES:
        page = await browser.window(scheme=scheme)
        await page.goto(served.url + served.names["passing"])
        await page.locator("#startups").fill("veel")
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        assert await page.title() == "Fout: Doorgegeven? · Omroeper"
        await no_violations(page, BEST)
        await keyboard(page)
        await fits(page)
        await picture(page, f"passing on, refused {scheme}")


async def test_passing_on_with_a_keyboard_alone(served: Scene, browser: Browser) -> None:
    page = await browser.window()
    await page.goto(served.url + served.names["passing"])
    for key in ("Tab", "Space", "Tab"):  # the first way, and on to the number
        await page.keyboard.press(key)
    await page.keyboard.type("12")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    assert await page.get_by_role("status").get_by_role("heading").is_visible()
    await no_violations(page, BEST)
    assert "12" in await page.locator(".told").inner_text()
