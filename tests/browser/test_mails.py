"""Mails as their readers see them: in both languages, light and dark, on a phone and on a desktop."""

from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page

from services.dispatcher.mail import templates
from services.dispatcher.mail.composer import Composer
from services.dispatcher.mail.letter import Writer
from services.dispatcher.message import Item, Mailing, Message
from services.domain.event import EventType
from services.runtime.settings import Settings
from tests.browser.scenes import LANGUAGES, SCHEMES, message
from tests.rig.axe import BEST, no_violations, no_violations_by_colour
from tests.rig.browser import ONE_LOOP, Browser
from tests.rig.looking import fits, picture

pytestmark = ONE_LOOP
PHONE, DESKTOP = 375, 700
#: A mail stands in a page of its reader's mail program, which has the landmarks.
NO_LANDMARKS = ("landmark-one-main", "region")
KINDS = tuple(kind.removeprefix("opportunity.") for kind in EventType)
SETTINGS = Settings(public_url="https://omroeper.example", secret_key="k" * 32)
OURS = list((Path(templates.__file__).parents[3] / "templates/email/letters").iterdir())
NASTY = '<script>throw 1</script> & "Rioolwaterzuiveringsinstallatiebeheersingssysteemvernieuwingsprogramma"'
#: What the version before had, or had not, of an opportunity that changed.
BEFORE = {
    "version": 2,
    "title": {"nl": NASTY, "en": NASTY},
    "deadline": "2098-12-20T12:00:00+01:00",
    "questions_until": None,
    "estimated_value": None,
    "regions": ["BE21"],
    "documents": None,
}
_DISABLED = {
    "subscriber": "Corda <b>INCubator</b>",
    "target": f"https://corda.example/{'hook' * 40}",
    "days": 5,
}
LETTERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("sign_in", {"link": f"https://omroeper.example/portal/sign-in/{'x' * 43}", "minutes": 15}),
    *(
        ("confirm", {"token": "x" * 22, "subscriber": NASTY, "cadence": cadence, "days": 7})
        for cadence in ("immediate", "daily")
    ),
    *(
        ("disabled", {**_DISABLED, "reason": reason, "alone": reason == "dead"})
        for reason in ("gone", "dead", "bounced", "complained")
    ),
    ("test", {"subscriber": NASTY}),
    ("invited", {"subscriber": NASTY, "added_by": "An <b>Peeters</b>"}),
    ("invited", {"subscriber": "Corda INCubator", "added_by": ""}),
    ("unproven", {**_DISABLED, "error": "http_404", "days": 30}),
)
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
    assert all(link.startswith("https://") for link in links)
    for width in (320, PHONE, DESKTOP):
        await fits(page, width)


def changed(language: str) -> Message:
    """A delivery of an opportunity that changed since its reader was sent it."""
    told = message("updated", language)
    return replace(told, since=message("published", language, **BEFORE).announcement)


def mailing(kind: str, language: str, count: int) -> Message:
    """A digest or a reminder; beyond one, with an opportunity that changed and one that was withdrawn."""
    first = message("published", language)
    items = [Item(first.announcement, None, (first.match,))] * count
    if count > 1 and kind != "reminder":
        turned = changed(language)
        gone = message("withdrawn", language, title=NASTY, buyer={"name": NASTY})
        items[1:3] = [
            Item(turned.announcement, turned.since, ({},)),
            Item(gone.announcement, None, ({"told_before": True},)),
        ]
    return replace(first, mailing=Mailing(kind, "Europe/Brussels", tuple(items)))


def letter(kind: str, shown: dict[str, Any], language: str) -> str:
    """The HTML of a letter."""
    return html_of(Writer(SETTINGS).write(UUID(int=1), kind, language, "an@corda.example", shown).raw)


async def shows_well_everywhere(browser: Browser, html: str, language: str, name: str) -> None:
    """Look at a mail light and dark, on a phone and on a desktop."""
    page = await browser.window(language=language)
    await page.set_content(html)
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        for width in (PHONE, DESKTOP):
            await page.set_viewport_size({"width": width, "height": 768})
            if scheme == "dark":
                await no_violations_by_colour(page)
            elif width == PHONE:
                await shows_well(page, language)
            else:
                await no_violations(page, BEST, without=NO_LANDMARKS)
            await picture(page, f"mail {name} {language} {scheme} {width}")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_mail_is_for_everybody(browser: Browser, kind: str, language: str) -> None:
    html = html_of(Composer(SETTINGS).compose(message(kind, language)).raw)
    await shows_well_everywhere(browser, html, language, kind)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_mail_of_what_changed_is_for_everybody(browser: Browser, language: str) -> None:
    html = html_of(Composer(SETTINGS).compose(changed(language)).raw)
    await shows_well_everywhere(browser, html, language, "changed")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("count", [1, 5, 25])
@pytest.mark.parametrize("kind", ["digest_daily", "digest_weekly", "reminder"])
async def test_a_mailing_is_for_everybody(browser: Browser, kind: str, count: int, language: str) -> None:
    html = html_of(Composer(SETTINGS).compose(mailing(kind, language, count)).raw)
    await shows_well_everywhere(browser, html, language, f"{kind} {count}")


async def test_every_letter_is_looked_at() -> None:
    assert {kind for kind, _ in LETTERS} == {path.name.partition(".")[0] for path in OURS} - {"layout"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("kind", "shown"), LETTERS)
async def test_a_letter_is_for_everybody(
    browser: Browser, kind: str, shown: dict[str, Any], language: str
) -> None:
    name = f"letter {kind} {shown.get('reason', '')}{shown.get('cadence', '')}"
    await shows_well_everywhere(browser, letter(kind, shown, language), language, name)


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
