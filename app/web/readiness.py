"""Whether the worker is ready: a first assignment, and a recovery that ended after it."""

from typing import TYPE_CHECKING, cast

from app.models.pipeline import Nets

if TYPE_CHECKING:
    import faust
    from faust.tables.manager import TableManager

__all__ = ["Readiness"]


class Readiness:
    """Watches the application's first steps.

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
