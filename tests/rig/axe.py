"""Holds a page against WCAG 2.2 AA as far as a program can: Deque's axe-core, run in the page."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from playwright.async_api import Page

from tests.rig.npm_packages import package

WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
BEST = "best-practice"
#: What another scheme of colours can change.
COLOURS = ("cat.color",)
#: Nothing is fetched (`preload`), and frames are left to a look of their own.
_RUN = """([tags, without]) => axe.run(document, {
  runOnly: { type: "tag", values: tags },
  rules: Object.fromEntries(without.map((rule) => [rule, { enabled: false }])),
  resultTypes: ["violations"], preload: false, iframes: false,
})"""


async def no_violations(page: Page, *more_tags: str, without: Sequence[str] = ()) -> None:
    """Fail, readably, when axe finds something in the page; `without` are rules that do not hold there."""
    await _none_of(page, [*WCAG, *more_tags], without)


async def no_violations_by_colour(page: Page) -> None:
    """Fail as `no_violations` does, for what may differ between light and dark alone; sooner done."""
    await _none_of(page, COLOURS, ())


async def _none_of(page: Page, tags: Sequence[str], without: Sequence[str]) -> None:
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_source())
    found = await page.evaluate(_RUN, [list(tags), list(without)])
    assert found["passes"], f"axe found nothing to look at on {page.url}"
    assert not found["violations"], f"{page.url}\n" + "\n".join(map(_told, found["violations"]))


@lru_cache(maxsize=1)
def _source() -> str:
    return (package("axe-core") / "axe.min.js").read_text("utf-8")


def _told(violation: Mapping[str, Any]) -> str:
    """Write a violation: the rule, what it asks, and where it is broken, and how."""
    lines = [f"{violation['id']} ({violation['impact']}): {violation['help']}"]
    for node in violation["nodes"]:
        lines.append(f"  {' '.join(map(str, node['target']))}")
        lines += [f"    {line.strip()}" for line in node["failureSummary"].splitlines()]
    return "\n".join([*lines, f"  {violation['helpUrl']}"])
