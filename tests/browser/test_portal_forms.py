"""Forms that are refused say so on top, with the focus, and at their fields. And pages of errors."""

from dataclasses import dataclass

import pytest
from playwright.async_api import Page, expect

from tests.browser.scenes import LANGUAGES, PAGES, Scene
from tests.rig.axe import BEST, no_violations, no_violations_by_colour
from tests.rig.browser import ONE_LOOP, Browser
from tests.rig.looking import fits, keyboard, picture

pytestmark = ONE_LOOP
ERROR = {"nl": "Fout: ", "en": "Error: "}


@dataclass(frozen=True)
class Wrong:
    """A form filled in wrongly: its page, what is typed where, and a field that the summary leads to."""

    page: str
    typed: dict[str, str]
    field: str
    button: str = "main form button"


WRONG = (
    Wrong("sign_in", {"email": "nope"}, "email"),
    Wrong("new_email", {"target": "nope"}, "target"),
    Wrong("new_webhook", {"target": "ftp://nope"}, "target"),
    Wrong("subscription", {"quiet_from": "07:00", "quiet_until": "07:00"}, "quiet_until", ".actions button"),
    Wrong("preferences", {"quiet_from": "07:00", "quiet_until": "07:00"}, "quiet_until", ".actions button"),
    Wrong("filter", {"cpv": "IT", "least": "veel", "most": "-1"}, "cpv", ".actions button"),
    Wrong("people", {"name": "", "email": "nope"}, "email"),
    Wrong("settings", {"timezone": "Mars/Olympus", "name": ""}, "timezone", ".actions button"),
    Wrong("leave", {}, "sure", ".actions button"),
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.page)
async def test_a_form_that_is_refused_says_what_is_wrong_and_where(
    served: Scene, browser: Browser, wrong: Wrong, language: str
) -> None:
    page = await open_page(served, browser, wrong.page, language)
    for name, text in wrong.typed.items():
        await page.locator(f"#{name}").fill(text)
    async with page.expect_navigation():
        await page.locator(wrong.button).first.click()
    assert (await page.title()).startswith(ERROR[language])
    await expect(page.locator(".note.bad[role=alert]")).to_be_focused()
    field = page.locator(f"#{wrong.field}")
    if await field.get_attribute("type") != "checkbox":
        described = (await field.get_attribute("aria-describedby") or "").split()
        assert (await field.get_attribute("aria-invalid"), f"{wrong.field}-wrong" in described) == (
            "true",
            True,
        )
    await looks_well(page, f"refused {wrong.page} {language}")
    if language == "nl":
        await page.locator(f'.note.bad a[href="#{wrong.field}"]').press("Enter")
        assert await page.evaluate("document.activeElement.id") == wrong.field
        await keyboard(page)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_form_that_is_not_ours_any_more_says_so_kindly(
    served: Scene, browser: Browser, language: str
) -> None:
    page = await open_page(served, browser, "settings", language)
    await page.evaluate("for (const one of document.getElementsByName('form_token')) one.value = 'x'")
    async with page.expect_navigation():
        await page.locator(".actions button").click()
    assert await page.locator("main .button").count() == 1
    await looks_well(page, f"form of before {language}")


async def test_an_answer_that_is_none_is_asked_for_again(served: Scene, browser: Browser) -> None:
    page = await open_page(served, browser, "confirm", "nl")
    await page.evaluate("for (const one of document.getElementsByName('answer')) one.remove()")
    async with page.expect_navigation():
        await page.get_by_role("button").first.click()
    await looks_well(page, "unanswered")


async def test_asking_for_links_without_end_is_answered_kindly(served: Scene, browser: Browser) -> None:
    page = await open_page(served, browser, "sign_in", "nl")
    while await page.locator("#email").count():
        await page.locator("#email").fill("wie@nergens.example")
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        if again := await page.locator('main .card a[href="/portal/sign-in"]').count():
            assert again == 1
            await page.goto(f"{served.url}/portal/sign-in")
    await looks_well(page, "too often")


async def test_a_fault_of_ours_is_a_page_too(served: Scene, browser: Browser) -> None:
    page = await browser.window()
    await served.pool.execute("ALTER TABLE sign_in_links RENAME TO elsewhere")
    try:
        answer = await page.goto(f"{served.url}/portal/sign-in/some-link")
    finally:
        await served.pool.execute("ALTER TABLE elsewhere RENAME TO sign_in_links")
    assert answer is not None
    assert answer.status == 500
    await looks_well(page, "fault of ours")


async def test_passing_on_that_is_refused_says_what_is_wrong_and_where(
    served: Scene, browser: Browser
) -> None:
    page = await browser.window()
    await page.goto(served.url + served.names["passing"])
    await page.locator("#startups").fill("veel")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    assert await page.title() == "Fout: Doorgegeven? · Omroeper"
    await looks_well(page, "passing on, refused")
    await keyboard(page)


async def open_page(served: Scene, browser: Browser, name: str, language: str) -> Page:
    """Open a page of the portal by its name."""
    return await served.open(
        browser, next(place for place in PAGES if place.name == f"portal: {name} {language}")
    )


async def looks_well(page: Page, name: str) -> None:
    """Fail when the page is not for everybody, in its light and its dark look."""
    await no_violations(page, BEST)
    await picture(page, name)
    await fits(page)
    await page.emulate_media(color_scheme="dark")
    await no_violations_by_colour(page)
