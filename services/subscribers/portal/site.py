"""Puts the portal together."""

from fastapi import APIRouter

from services.domain.passing_on import Door
from services.runtime.database import Pool
from services.runtime.passing_links import passing_links
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.subscribers import assets
from services.subscribers.portal import (
    adding,
    colleagues,
    deliveries,
    feeds,
    filters,
    language,
    leaving,
    overview,
    preferences,
    settings_page,
    sign_in,
    subscriptions,
    webhooks,
)
from services.subscribers.portal.cookies import Cookies
from services.subscribers.portal.pages import page_routes
from services.subscribers.portal.rendering import Renderer
from services.subscribers.portal.visits import Anybody, Doors, Missing, Site

#: In the order in which their routes are looked at.
_PARTS = (
    sign_in,
    language,
    overview,
    deliveries,
    filters,
    adding,
    webhooks,
    subscriptions,
    feeds,
    colleagues,
    settings_page,
    leaving,
    preferences,
)


def router(pool: Pool, vault: Vault, settings: Settings) -> APIRouter:
    """Make the routes of the portal, and of the files that its pages need."""
    site = Site(
        pool,
        vault,
        settings,
        Renderer(settings.templates_dir),
        Cookies(secure=settings.public_url.startswith("https:")),
        passing_links(settings, Door.PORTAL),
        passing_links(settings, Door.WEBHOOK),
    )
    routes = page_routes(site, Doors(site))
    for part in _PARTS:
        part.add(routes)
    _nothing_else(routes)
    together = APIRouter()
    together.include_router(assets.router(site.render.assets))
    together.include_router(routes)
    return together


def _nothing_else(routes: APIRouter) -> None:
    @routes.api_route("/portal/{rest:path}", methods=["GET", "POST"])
    async def missing(rest: str, visit: Anybody) -> None:
        raise Missing
