"""Renders the pages that people see, in the languages we speak."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

import services
from services.runtime.language import install, languages, speech

_OURS = Path(services.__file__).parents[1] / "templates" / "pages"
_LANGUAGES = ("nl", "en")
#: The address of a page is a secret of its reader's, and one button is all that it can do.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
#: Makes a page: its name, its status, its language, and what it shows.
Render = Callable[..., HTMLResponse]


def renderer(templates_dir: str) -> Render:
    """Make the renderer; the files in `templates_dir`/pages replace ours, one by one."""
    directories = [Path(templates_dir) / "pages", _OURS] if templates_dir else [_OURS]
    environments = {code: _environment(directories, code) for code in languages()}

    def render(name: str, status: int, language: str, **shown: Any) -> HTMLResponse:
        template = environments[spoken(language)].get_template(f"{name}.html.j2")
        page = template.render(language=spoken(language), **shown)
        return HTMLResponse(page, status, {**_HEADERS, "Content-Language": spoken(language)})

    return render


def _environment(directories: list[Path], code: str) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(directories),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    install(environment, speech(code))
    return environment


def spoken(language: str) -> str:
    """Choose a language that the pages have: `en-GB,en;q=0.9` is English, and what they lack is Dutch.

    >>> spoken("en-GB,en;q=0.9"), spoken("nl"), spoken("fr")
    ('en', 'nl', 'nl')
    """
    wanted = language[:2].lower()
    return wanted if wanted in _LANGUAGES else "nl"
