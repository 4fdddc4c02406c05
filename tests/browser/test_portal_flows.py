"""What people do in the portal, by keyboard alone, in a real browser: with its scripts, and without."""

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from tests.browser.scenes import Scene
from tests.integration.portal_visits import House
from tests.rig.browser import ONE_LOOP, Browser
from tests.rig.samples import opportunity

pytestmark = ONE_LOOP
THEMES = ("sterrenkunde", "walvissen")


@pytest_asyncio.fixture(loop_scope="module")
async def house(served: Scene) -> House:
    """Whoever does something brings a house of their own."""
    return await served.here.house()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def published(served: Scene) -> None:
    """Have something to look back at: three times the one theme, once the other."""
    for theme in (THEMES[0], THEMES[0], THEMES[0], THEMES[1]):
        await served.here.books.plan(data=opportunity(themes=[theme]))


async def enter(served: Scene, browser: Browser, house: House, path: str, *, scripts: bool = True) -> Page:
    """Open a page in the window of somebody who is signed in for a house."""
    page = await browser.window(java_script_enabled=scripts)
    await served.let_in(page, (await served.here.signed_in(house)).cookies)
    await page.goto(served.url + path)
    return page


async def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until something has the focus."""
    for _ in range(150):
        await page.keyboard.press("Tab")
        if await wanted.evaluate("(one) => one === document.activeElement"):
            return
    raise AssertionError(f"{wanted} is not reached with Tab")


async def go(page: Page, wanted: Locator, key: str = "Enter") -> str:
    """Press a key on something that leads to another page; give its heading."""
    await tab_to(page, wanted)
    async with page.expect_navigation():
        await page.keyboard.press(key)
    return await page.get_by_role("heading", level=1).inner_text()


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def link(page: Page, name: str) -> Locator:
    return page.get_by_role("link", name=name, exact=True)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_signing_in_by_the_link_of_the_letter(
    served: Scene, browser: Browser, house: House, scripts: bool
) -> None:
    page = await browser.window(java_script_enabled=scripts)
    await page.goto(f"{served.url}/portal")
    await tab_to(page, page.locator("#email"))
    await page.keyboard.type(house.contact)
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    assert await page.get_by_role("heading", level=1).inner_text() == "Kijk in je mailbox"
    await page.goto((await served.here.letters())[-1]["shown"]["link"])
    assert await go(page, page.locator("main button").first) == "Wat we je onlangs lieten weten"
    assert await go(page, button(page, "Afmelden")) == "Aanmelden"


@pytest.mark.usefixtures("published")
async def test_the_back_test_follows_the_form_without_a_reload(
    served: Scene, browser: Browser, house: House
) -> None:
    page = await enter(served, browser, house, f"/portal/subscriptions/{house.email}/filter")
    await page.evaluate("window.stays = true")
    found = page.locator("#backtest .figure")
    for theme, words in zip(THEMES, ("3 opdrachten", "4 opdrachten"), strict=True):
        box = page.locator(f'input[value="{theme}"]')
        await tab_to(page, box)
        await page.keyboard.press("Space")
        await until_it_says(found, words)
        assert await box.evaluate("(one) => one === document.activeElement")
    await tab_to(page, page.locator("#text"))
    await page.keyboard.type("olifant")
    await until_it_says(page.locator("#backtest"), "Er paste niets bij")
    assert await page.evaluate("window.stays")
    heading = await go(page, button(page, "Filter bewaren"))
    assert heading == house.contact
    assert "olifant" in await page.locator("main").inner_text()


@pytest.mark.usefixtures("published")
async def test_the_back_test_answers_by_a_button_without_scripts(
    served: Scene, browser: Browser, house: House
) -> None:
    path = f"/portal/subscriptions/{house.email}/filter"
    page = await enter(served, browser, house, path, scripts=False)
    await tab_to(page, page.locator(f'input[value="{THEMES[1]}"]'))
    await page.keyboard.press("Space")
    await go(page, button(page, "Eerst uitproberen"))
    assert "1 opdracht" in await page.locator("#backtest .figure").inner_text()
    assert await page.locator(f'input[value="{THEMES[1]}"]').is_checked()
    assert await go(page, button(page, "Filter bewaren")) == house.contact


async def test_adding_a_mailbox(served: Scene, browser: Browser, house: House) -> None:
    page = await enter(served, browser, house, "/portal/subscriptions")
    await go(page, link(page, "Abonnement toevoegen"))
    await go(page, page.locator('main a[href$="/new/email"]'))
    await tab_to(page, page.locator("#target"))
    await page.keyboard.type("team@partner-van-ons.example")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    assert await page.get_by_role("heading", level=1).inner_text() == "team@partner-van-ons.example"
    assert "Toegevoegd" in await page.locator("main > .note").inner_text()


async def test_replacing_the_secret_of_a_webhook(served: Scene, browser: Browser, house: House) -> None:
    page = await enter(served, browser, house, f"/portal/subscriptions/{house.webhook}/webhook")
    await go(page, page.locator('main a[href$="/secret"]'))
    await go(page, page.locator("main .actions button"))
    secret = await page.locator("#secret").input_value()
    assert secret.startswith("whsec_")
    await go(page, page.locator('main a[href$="/webhook"]'))
    assert secret not in await page.content()
    assert await page.locator("main li code").count() == 2


async def test_pausing_and_going_on(served: Scene, browser: Browser, house: House) -> None:
    page = await enter(served, browser, house, f"/portal/subscriptions/{house.email}")
    for name, standing in (("Pauzeren", "Gepauzeerd"), ("Verdergaan", "Actief")):
        await go(page, button(page, name))
        assert await page.locator("main .pill").first.inner_text() == standing


@pytest.mark.parametrize("path", ["/portal/subscriptions/{email}", "/u/{link}/preferences"])
async def test_changing_how_often(served: Scene, browser: Browser, house: House, path: str) -> None:
    page = await enter(served, browser, house, path.format(email=house.email, link=house.link))
    await tab_to(page, page.locator('input[value="immediate"]'))
    await page.keyboard.press("ArrowDown")
    await go(page, button(page, "Bewaren"))
    assert "Bewaard" in await page.locator("main > .note").inner_text()
    assert await page.locator('input[value="daily"]').is_checked()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_leaving(served: Scene, browser: Browser, house: House, scripts: bool) -> None:
    page = await enter(served, browser, house, "/portal/settings", scripts=scripts)
    await go(page, page.locator('main a[href="/portal/leave"]'))
    await tab_to(page, page.locator("#sure"))
    await page.keyboard.press("Space")
    await go(page, page.locator("main button.danger"))
    assert page.url == f"{served.url}/portal/left"
    await page.goto(f"{served.url}/portal")
    assert page.url.endswith("/portal/sign-in")


async def test_passing_on(served: Scene, browser: Browser) -> None:
    page = await browser.window()
    await page.goto(served.url + served.names["not_passed"])
    for key in ("Tab", "Space", "Tab"):  # the first way, and on to the number
        await page.keyboard.press(key)
    await page.keyboard.type("12")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    assert await page.get_by_role("status").get_by_role("heading").is_visible()
    assert "12" in await page.locator(".told").inner_text()


async def until_it_says(place: Locator, words: str) -> None:
    """Wait until a part of the page says something."""
    await expect(place).to_contain_text(words, timeout=60_000)
