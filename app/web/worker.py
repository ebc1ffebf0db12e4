"""How the worker is: alive, and ready."""

from aiohttp import web

from app.web.errors import api_error
from app.web.readiness import Readiness

__all__ = ["WorkerViews"]


class WorkerViews:
    """`/healthz`, `/readyz`; Faust's sensor serves `/metrics`."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/healthz", self.health), web.get("/readyz", self.ready)]

    async def health(self, request: web.Request) -> web.Response:
        """Say that the process answers."""
        return web.json_response({"alive": True})

    async def ready(self, request: web.Request) -> web.Response:
        """Say whether the worker has its partitions and its tables."""
        missing = self._readiness.missing()
        if missing:
            raise api_error(503, "not-ready", missing)
        return web.json_response({"ready": True})
