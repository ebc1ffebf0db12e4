"""A worker is alive while it answers, and ready when all that makes it so has been seen to happen."""

from types import SimpleNamespace
from typing import Any

import pytest

from app.web.health import HealthViews, Readiness


class Worker:
    """Stands where Faust's application and the nets stand."""

    def __init__(self) -> None:
        self.nets: Any = SimpleNamespace(loaded=False)
        self.recovery = SimpleNamespace(in_recovery=False)
        self.app: Any = SimpleNamespace(
            rebalancing=False,
            tables=SimpleNamespace(recovery=self.recovery),
            on_rebalance_complete=SimpleNamespace(connect=self._connect),
        )

    def _connect(self, listener: Any) -> None:
        self.rebalance_complete = listener


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
async def client(worker: Worker, serve: Any) -> Any:
    return await serve(HealthViews(Readiness(worker.app, worker.nets)).routes())


async def missing(client: Any) -> str | None:
    response = await client.get("/readyz")
    body = await response.json()
    if response.status == 200:
        assert body == {"ready": True}
        return None
    assert (response.status, body["reason"]) == (503, "not-ready")
    return str(body["detail"])


async def test_alive(client: Any) -> None:
    response = await client.get("/healthz")
    assert (response.status, await response.json()) == (200, {"alive": True})


async def test_ready_is_what_has_been_seen_to_happen(client: Any, worker: Worker) -> None:
    assert await missing(client) == "the nets are being loaded"
    worker.nets.loaded = True
    assert await missing(client) == "waiting for a first assignment and its recovery"
    await worker.rebalance_complete()
    assert await missing(client) is None


async def test_not_ready_while_partitions_or_tables_are_on_their_way(client: Any, worker: Worker) -> None:
    worker.nets.loaded = True
    await worker.rebalance_complete()
    worker.app.rebalancing = True
    assert await missing(client) == "the workers are sharing out the partitions"
    worker.app.rebalancing, worker.recovery.in_recovery = False, True
    assert await missing(client) == "the tables are being recovered"
    worker.recovery.in_recovery = False
    assert await missing(client) is None
