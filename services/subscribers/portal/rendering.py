"""Renders the portal's pages: one environment a language, headers that let nothing else in."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

import services
from services.domain.reason import procedure_name, region_name
from services.domain.speech import Speech
from services.runtime.language import install, languages, speech
from services.subscribers import assets
from services.subscribers.feeds.entry import safe_url
from services.subscribers.portal import words

_OURS = Path(services.__file__).parents[1] / "templates" / "pages"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # not no-referrer: browsers without Sec-Fetch-Site would then hide from us where a form comes from
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Renderer:
    """Makes pages of templates; the files in `templates_dir`/pages replace ours, one by one."""

    def __init__(self, templates_dir: str) -> None:
        self.assets = assets.load(templates_dir)
        directories = [Path(templates_dir) / "pages", _OURS] if templates_dir else [_OURS]
        self._environments = {code: self._environment(directories, speech(code)) for code in languages()}

    def __call__(self, name: str, status: int, said: Speech, shown: Mapping[str, Any]) -> HTMLResponse:
        template = self._environments[said.code].get_template(f"portal/{name}.html.j2")
        page = template.render(shown)
        return HTMLResponse(page, status, {**HEADERS, "Content-Language": said.code})

    def _environment(self, directories: list[Path], said: Speech) -> ImmutableSandboxedEnvironment:
        environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(directories),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        install(environment, said)
        environment.globals["asset"] = partial(assets.address, self.assets)
        environment.filters |= {
            "safe_url": safe_url,
            "criteria": lambda wanted: words.criteria(wanted, said),
            "kind": lambda code: words.kind(code, said),
            "audience": lambda code: words.audience(code, said),
            "hour": lambda number: words.hour(number, said),
            "weekday_name": lambda number: words.weekday(number, said),
            "cadence": lambda code, clock: words.cadence(code, clock, said),
            "region": lambda code: region_name(code, said),
            "procedure": lambda code: procedure_name(code, said),
        }
        return environment
