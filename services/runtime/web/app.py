"""Makes an HTTP application of a service's routers: health, metrics, docs, problems."""

from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version

from fastapi import APIRouter, FastAPI, Response
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.runtime.web import problems

#: Names what keeps a service from working, or gives nothing.
Readiness = Callable[[], Awaitable[Sequence[str]]]


def make_app(title: str, routers: Sequence[APIRouter], readiness: Readiness) -> FastAPI:
    """Put the routers together; `/readyz` answers 503 with the reasons that `readiness` names."""
    # the documentation page works without the internet, and tells nobody who reads it
    app = FastAPIOffline(
        redoc_url=None,
        title=title,
        version=version("omroeper"),
        description="Tells every incubator and accelerator of every public-sector opportunity.",
    )
    problems.install(app)
    for router in (*routers, _health(readiness)):
        app.include_router(router)
    return app


def _health(readiness: Readiness) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def alive() -> dict[str, str]:
        """Say that the process is alive."""
        return {"status": "alive"}

    @router.get("/readyz", responses={503: {"description": "Not ready; says why"}})
    async def ready(response: Response) -> dict[str, object]:
        """Say whether it can work, and if not, why."""
        missing = list(await readiness())
        response.status_code = 503 if missing else 200
        return {"status": "not ready" if missing else "ready", "missing": missing}

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Prometheus metrics."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router
