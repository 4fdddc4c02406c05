"""Every page, light and dark: held against WCAG 2.2 AA, on a phone of 320 px, with a keyboard alone."""

import pytest

from tests.browser.scenes import PAGES, SCHEMES, Place, Scene
from tests.rig.axe import BEST, no_violations, no_violations_by_colour
from tests.rig.browser import ONE_LOOP, Browser, Scheme
from tests.rig.looking import fits, keyboard, picture

pytestmark = ONE_LOOP
WIDE, PHONE = 1280, 320


@pytest.mark.parametrize("place", PAGES, ids=lambda place: place.name)
async def test_a_page_is_for_everybody(served: Scene, browser: Browser, place: Place) -> None:
    page = await served.open(browser, place)
    for scheme, width in looks(place):
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 768})
        await (no_violations(page, BEST) if scheme == "light" else no_violations_by_colour(page))
        await picture(page, f"{place.name} {scheme} {width}")
    await fits(page)
    assert await page.title()
    if len(looks(place)) == 4:
        await keyboard(page)


def looks(place: Place) -> list[tuple[Scheme, int]]:
    """How to look at a page; its other language has the same controls in the same colours, in other words."""
    if place.language == "nl" or place.name.startswith("demo"):
        return [(scheme, width) for scheme in SCHEMES for width in (WIDE, PHONE)]
    return [("light", PHONE), ("dark", WIDE)]


async def test_pages_without_anything_yet_are_for_everybody_too(nothing_yet: Scene, browser: Browser) -> None:
    for path in ("/", "/demo/mails", "/demo/webhooks"):
        page = await nothing_yet.open(browser, Place(path, path, "en"))
        await no_violations(page, BEST)
        await fits(page)
