"""The rig itself: what is wrong with a page does not stay unseen."""

import pytest
import pytest_asyncio
from playwright.async_api import Error, Page

from tests.rig.axe import BEST, no_violations
from tests.rig.browser import ONE_LOOP, Browser
from tests.rig.looking import fits, keyboard
from tests.rig.waiting import until

pytestmark = ONE_LOOP
GOOD = """<!doctype html><html lang="nl"><head><title>Goed</title>
<style>button, input { min-width: 24px; min-height: 24px }</style></head><body><main><h1>Goed</h1>
<p><a href="https://stad.example/">Lees verder</a></p><button>Ja, dat is goed</button>
<input type="radio" name="a" aria-label="een"><input type="radio" name="a" aria-label="twee">
<details><summary>Meer</summary><a href="/verborgen">Verborgen</a></details></main></body></html>"""


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> Page:
    return await browser.window()


async def test_a_good_page_passes_every_look(page: Page) -> None:
    await page.set_content(GOOD)
    await no_violations(page, BEST)
    await fits(page)
    assert await keyboard(page) == 4


@pytest.mark.parametrize(
    ("good", "bad", "rule"),
    [
        (' lang="nl"', "", "html-has-lang"),
        ("<p>", '<p style="color: #bbb">Vaag. ', "color-contrast"),
        (' aria-label="een"', "", "label"),
        ("<p>", '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><p>', "image-alt"),
    ],
)
async def test_axe_tells_what_is_wrong_and_where(page: Page, good: str, bad: str, rule: str) -> None:
    await page.set_content(GOOD.replace(good, bad, 1))
    with pytest.raises(AssertionError, match=rf"(?s)\n{rule} \(.*Fix"):
        await no_violations(page)


async def test_a_rule_that_does_not_hold_is_left_out(page: Page) -> None:
    await page.set_content(GOOD.replace(' lang="nl"', ""))
    await no_violations(page, without=["html-has-lang"])


async def test_a_page_that_is_too_wide_is_told(page: Page) -> None:
    await page.set_content(GOOD.replace("<p>", '<p style="width: 400px">', 1))
    with pytest.raises(AssertionError, match=r"wider than 320 px(.|\n)*width: 400px"):
        await fits(page)
    await fits(page, 600)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ('<a href="/" style="outline: none">x</a>', "does not show its focus"),
        (
            '<a href="/">x</a><div style="position: fixed; inset: 0; background: red"></div>',
            "is covered when it has the focus",
        ),
        (
            '<input id="trap" onkeydown="if (event.key === \'Tab\') event.preventDefault()">',
            "is not reached with Tab",
        ),
    ],
)
async def test_what_a_keyboard_cannot_do_is_told(page: Page, bad: str, told: str) -> None:
    await page.set_content(GOOD.replace("<h1>", f"{bad}<h1>"))
    with pytest.raises(AssertionError, match=told):
        await keyboard(page)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("<script>console.error('mis')</script>", "mis"),
        ("<script>setTimeout(() => { throw new Error('stuk') })</script>", "not caught: stuk"),
        ('<img alt="" src="https://elders.example/x.png">', "which is not on this machine"),
        ('<img alt="" src="https://192.0.2.1/x.png">', "which is not on this machine"),
        (
            '<meta http-equiv="Content-Security-Policy" content="script-src \'none\'"><script>1</script>',
            "Content Security Policy",
        ),
    ],
)
async def test_a_page_that_complains_is_noticed(browser: Browser, bad: str, told: str) -> None:
    page = await browser.window()
    await page.set_content(GOOD.replace("<title>", f"{bad}<title>"))
    await until(lambda: told in "\n".join(browser.complaints), what="the complaint")
    browser.complaints.clear()


async def test_nothing_leaves_this_machine(browser: Browser) -> None:
    page = await browser.window()
    for url in ("https://elders.example/", "http://192.0.2.1/"):
        with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
            await page.goto(url)
    browser.complaints.clear()
