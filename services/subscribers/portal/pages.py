"""Routes that answer with pages, whatever goes wrong."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from services.runtime.database import UNAVAILABLE
from services.runtime.web.problems import Refused
from services.subscribers.portal.visits import DOORS, Doors, Elsewhere, Missing, NotFromHere, Site, Visit

log = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]

#: What a visitor is shown instead: the page, and its status.
_PAGES: dict[type[Exception], tuple[str, int]] = {
    Missing: ("errors/missing", 404),
    RequestValidationError: ("errors/missing", 404),
    NotFromHere: ("errors/form", 403),
    asyncpg.DataError: ("errors/missing", 404),
}


def page_routes(site: Site, doors: Doors) -> APIRouter:
    """Make a router whose routes answer with pages."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Any]:
            return _shown(site, doors, super().get_route_handler())

    return APIRouter(route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse)


def _shown(site: Site, doors: Doors, handler: Callable[[Request], Any]) -> Handler:
    async def answer(request: Request) -> Response:
        request.scope[DOORS] = doors
        try:
            response: Response = await handler(request)
        except Elsewhere as elsewhere:
            return _plain_visit(site, request).to(elsewhere.path)
        except Refused as refused:
            return await _instead(site, doors, request, "errors/refused", refused.status)
        except tuple(_PAGES) as error:
            name, status = next(shown for kind, shown in _PAGES.items() if isinstance(error, kind))
            return await _instead(site, doors, request, name, status)
        except UNAVAILABLE as error:
            log.warning("database unavailable while answering: %s", type(error).__name__)
            return _plain_visit(site, request).page("errors/unavailable", 503)
        except Exception:
            # a bug of ours, shown in the same look as all else
            log.exception("a page of the portal failed")
            return _plain_visit(site, request).page("errors/unavailable", 500)
        return response

    return answer


async def _instead(site: Site, doors: Doors, request: Request, name: str, status: int) -> Response:
    try:
        visit = await doors.greet(request)
    except UNAVAILABLE:
        visit = _plain_visit(site, request)
    return visit.page(name, status)


def _plain_visit(site: Site, request: Request) -> Visit:
    """Visit without a look at the database."""
    return Doors(site).stranger(request)
