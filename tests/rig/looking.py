"""Looks at a page as somebody does: on a phone, with a keyboard alone; and keeps pictures of it."""

import os
import re
from pathlib import Path
from typing import Any

from playwright.async_api import Page

#: Not OMROEPER_…: those are the program's settings.
PICTURES = "TESTS_PICTURES"
_WIDER = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  const out = [...document.querySelectorAll("body *")].filter((one) => {
    const box = one.getBoundingClientRect();
    const holds = getComputedStyle(one).overflowX !== "visible";
    return box.right + scrollX > root.clientWidth + 0.5 || (!holds && one.scrollWidth > one.clientWidth + 1);
  });
  return [`${root.scrollWidth} px`, ...out.slice(0, 8).map((one) => one.outerHTML.slice(0, 120))];
}"""
#: Numbers what Tab is to reach (one of a group of radio buttons), and keeps how it looks without focus.
_NUMBER = """() => {
  window.lookOf = (one) => {
    const { outline, boxShadow, borderColor, backgroundColor } = getComputedStyle(one);
    return [outline, boxShadow, borderColor, backgroundColor].join();
  };
  const reachable = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";
  const groups = new Set();
  document.activeElement?.blur();
  window.stops = [...document.querySelectorAll(reachable)].filter((one) => {
    if (one.disabled || one.tabIndex < 0 || one.closest("[inert]")) return false;
    if (!one.checkVisibility({ visibilityProperty: true })) return false;
    if (one.type !== "radio") return true;
    const first = !groups.has(one.name);
    groups.add(one.name);
    return first;
  }).map((one) => ({ one, look: lookOf(one), group: one.type === "radio" && one.name }));
  return stops.map(({ one }) => one.outerHTML.slice(0, 120));
}"""
#: Which of them has the focus, and what is wrong with how it shows that.
_FOCUSED = """() => {
  const one = document.activeElement;
  const at = stops.findIndex((stop) => stop.one === one || (stop.group && stop.group === one.name));
  if (at < 0 || one === document.body) return { at, wrong: "" };
  const { x, y, width, height } = one.getBoundingClientRect();
  const onTop = document.elementFromPoint(x + width / 2, y + height / 2);
  const covered = onTop && !one.contains(onTop) && !onTop.contains(one);
  const unseen = stops[at].one === one && lookOf(one) === stops[at].look;
  const wrong = unseen ? "does not show its focus" : covered ? "is covered when it has the focus" : "";
  return { at, wrong: wrong && `${one.outerHTML.slice(0, 120)} ${wrong}` };
}"""


async def fits(page: Page, width: int = 320) -> None:
    """Fail when the page is to be scrolled sideways at this width in px (WCAG 1.4.10: 320)."""
    before = page.viewport_size
    await page.set_viewport_size({"width": width, "height": 640})
    wider = await page.evaluate(_WIDER)
    if before:
        await page.set_viewport_size(before)
    assert not wider, f"{page.url} is wider than {width} px:\n" + "\n".join(wider)


async def keyboard(page: Page) -> int:
    """Go through the page with Tab; fail when something is not reached or does not show its focus.

    Returns how many stops there are (WCAG 2.1.1, 2.4.7, 2.4.11).
    """
    names: list[str] = await page.evaluate(_NUMBER)
    reached: set[int] = set()
    wrong: dict[str, None] = {}
    for _ in range(2 * len(names) + 20):  # boxes that scroll and what is in frames are stops, too
        await page.keyboard.press("Tab")
        focused: dict[str, Any] = await page.evaluate(_FOCUSED)
        reached.add(focused["at"])
        wrong |= {focused["wrong"]: None} if focused["wrong"] else {}
        if len(reached - {-1}) == len(names):
            break
    missed = [f"{name} is not reached with Tab" for at, name in enumerate(names) if at not in reached]
    assert not [*wrong, *missed], f"{page.url}\n" + "\n".join([*wrong, *missed])
    return len(names)


async def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page in the folder that TESTS_PICTURES names; without it, do nothing."""
    if where := os.environ.get(PICTURES):
        file = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        await page.screenshot(path=Path(where) / f"{file}.png", full_page=True)
