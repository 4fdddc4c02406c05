"""`/static`: the stylesheet and the scripts of the pages, kept for good by whoever fetched them.

Rules:
1. A page names each file with the hash of its content; under that name it never changes.
2. Under any other name it is asked for again each time.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

import services
from services.runtime.web.problems import Refused

_OURS = Path(services.__file__).parents[1] / "templates" / "static"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".LICENSE": "text/plain; charset=utf-8",
}
_FOR_GOOD, _ASK_AGAIN = "public, max-age=31536000, immutable", "public, no-cache"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file: its content, and the hash that names it."""

    content: bytes
    version: str
    media_type: str


def load(templates_dir: str) -> dict[str, Asset]:
    """Read the files; those in `templates_dir`/static replace ours, one by one, or are added."""
    directories = [_OURS, *([Path(templates_dir) / "static"] if templates_dir else [])]
    paths = [path for directory in directories for path in sorted(directory.glob("*"))]
    return {path.name: _read(path) for path in paths if path.suffix in _MEDIA_TYPES}


def address(assets: Mapping[str, Asset], name: str) -> str:
    """Name a file as pages do."""
    return f"/static/{name}?v={assets[name].version}"


def router(assets: Mapping[str, Asset]) -> APIRouter:
    """Make the route of the files."""
    routes = APIRouter(include_in_schema=False)

    @routes.head("/static/{name}")
    @routes.get("/static/{name}")
    async def show(name: str, request: Request, v: str = "") -> Response:
        if name not in assets:
            raise Refused(404, "There is no such file.")
        return _answer(assets[name], request, named=v == assets[name].version)

    return routes


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, hashlib.sha256(content).hexdigest()[:16], _MEDIA_TYPES[path.suffix])


def _answer(asset: Asset, request: Request, *, named: bool) -> Response:
    headers = {
        "Cache-Control": _FOR_GOOD if named else _ASK_AGAIN,
        "ETag": f'"{asset.version}"',
        "X-Content-Type-Options": "nosniff",
        # an image may be opened by itself, too
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, headers=headers, media_type=asset.media_type)
