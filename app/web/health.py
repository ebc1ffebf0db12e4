"""How the worker is: alive, and ready."""

from typing import TYPE_CHECKING, cast

from aiohttp import web

from app.models import Nets
from app.web.errors import api_error

if TYPE_CHECKING:
    import faust
    from faust.tables.manager import TableManager

__all__ = ["HealthViews", "Readiness"]


class Readiness:
    """Whether the worker is ready: a first assignment, and a recovery that ended after it.

    Faust says neither "rebalancing" nor "in recovery" before its first rebalance has begun, so that
    a worker would look ready at its very start; and again between an assignment and the recovery
    that follows it. Ready is therefore what has been seen to happen.
    """

    def __init__(self, app: "faust.App", nets: Nets) -> None:
        self._app = app
        self._nets = nets
        self._assigned = False
        app.on_rebalance_complete.connect(self._on_rebalance_complete)

    async def _on_rebalance_complete(self, *args: object, **kwargs: object) -> None:
        self._assigned = True

    def missing(self) -> str | None:
        """Say what the worker is waiting for; None when it is ready."""
        if not self._nets.loaded:
            return "the nets are being loaded"
        if not self._assigned:
            return "waiting for a first assignment and its recovery"
        if self._app.rebalancing:
            return "the workers are sharing out the partitions"
        if cast("TableManager", self._app.tables).recovery.in_recovery:
            return "the tables are being recovered"
        return None


class HealthViews:
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
