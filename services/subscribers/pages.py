"""Renders the pages that people see, each in its reader's language."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

import services
from services.runtime.language import install, languages, speech, spoken
from services.subscribers import assets

_OURS = Path(services.__file__).parents[1] / "templates" / "pages"
#: The address of a page is a secret of its reader's, and one button is all that it can do.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
#: Makes a page: its name, its status, the languages its reader wants, and what it shows.
Render = Callable[..., HTMLResponse]


def renderer(templates_dir: str) -> Render:
    """Make the renderer; the files in `templates_dir`/pages replace ours, one by one."""
    directories = [Path(templates_dir) / "pages", _OURS] if templates_dir else [_OURS]
    files = assets.load(templates_dir)
    environments = {code: _environment(directories, code, files) for code in languages()}

    def render(name: str, status: int, language: str, **shown: Any) -> HTMLResponse:
        code = spoken(language)
        page = environments[code].get_template(f"{name}.html.j2").render(language=code, **shown)
        return HTMLResponse(page, status, {**_HEADERS, "Content-Language": code})

    return render


def _environment(
    directories: Sequence[Path], language: str, files: Mapping[str, assets.Asset]
) -> Environment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(directories),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    install(environment, speech(language))
    environment.globals["asset"] = partial(assets.address, files)
    return environment
