"""Mails as their readers see them: in both languages, light and dark, on a phone and on a desktop."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from playwright.async_api import Page

from services.dispatcher.mail.composer import Composer
from services.domain.event import EventType
from services.runtime.settings import Settings
from tests.browser.scenes import LANGUAGES, SCHEMES, message
from tests.rig.axe import BEST, no_violations
from tests.rig.browser import Browser
from tests.rig.looking import fits, picture

PHONE, DESKTOP = 375, 700
#: A mail stands in a page of its reader's mail program, which has the landmarks.
NO_LANDMARKS = ("landmark-one-main", "region")
KINDS = tuple(kind.removeprefix("opportunity.") for kind in EventType)
SETTINGS = Settings(public_url="https://omroeper.example", secret_key="k" * 32)
#: A table is for layout and says so, or its rows have headers.
_UNMARKED_TABLES = """() => [...document.querySelectorAll("table")].filter((table) =>
  table.getAttribute("role") !== "presentation" && !table.querySelector("th[scope]")).length"""


def html_of(raw: bytes) -> str:
    """Take the HTML out of a mail, as a mail program does."""
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    part = mail.get_body(("html",))
    assert part is not None
    html: str = part.get_content()
    return html


async def shows_well(page: Page, language: str) -> None:
    """Fail when the mail in this page is not one for everybody, or fetches or links to what it should not."""
    await no_violations(page, BEST, without=NO_LANDMARKS)
    assert await page.locator("html").get_attribute("lang") == language
    assert await page.title()
    assert await page.evaluate(_UNMARKED_TABLES) == 0
    assert await page.locator("img, script, link, iframe, form, video, object").count() == 0
    links: list[str] = await page.locator("a").evaluate_all("(all) => all.map((one) => one.href)")
    assert links
    assert all(link.startswith("https://") for link in links)
    for width in (320, PHONE, DESKTOP):
        await fits(page, width)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_mail_is_for_everybody(browser: Browser, kind: str, language: str) -> None:
    html = html_of(Composer(SETTINGS).compose(message(kind, language)).raw)
    for scheme in SCHEMES:
        for width in (PHONE, DESKTOP):
            page = await browser.window(width=width, scheme=scheme, language=language)
            await page.set_content(html)
            await shows_well(page, language)
            await picture(page, f"mail {kind} {language} {scheme} {width}")


async def test_a_mail_with_next_to_nothing_in_it_is_for_everybody(browser: Browser) -> None:
    left_out = dict.fromkeys(("summary", "documents", "buyer", "contact", "url", "estimated_value", "themes"))
    html = html_of(Composer(SETTINGS).compose(message("published", "nl", **left_out)).raw)
    page = await browser.window(width=PHONE)
    await page.set_content(html)
    await shows_well(page, "nl")
    await picture(page, "mail bare")


async def test_a_word_without_an_end_stays_on_the_page(browser: Browser) -> None:
    endless = {"nl": "a" * 200}
    title_and_text = {"title": endless, "summary": endless, "buyer": {"name": "b" * 200}}
    html = html_of(Composer(SETTINGS).compose(message("published", "nl", **title_and_text)).raw)
    page = await browser.window(width=PHONE)
    await page.set_content(html)
    await fits(page, 320)


async def test_what_a_publisher_writes_is_text(browser: Browser) -> None:
    hostile = '"><img src=x onerror=alert(1)><script>throw 1</script><a href="javascript:alert(1)">klik</a>'
    changes = {"title": {"nl": hostile}, "summary": {"nl": hostile}, "buyer": {"name": hostile}}
    html = html_of(Composer(SETTINGS).compose(message("published", "nl", **changes)).raw)
    page = await browser.window(width=DESKTOP)
    await page.set_content(html)
    await shows_well(page, "nl")
    assert await page.get_by_text("<script>throw 1</script>").count()
