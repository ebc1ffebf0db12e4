"""Faust's own command line starts a worker, in both of the forms that people write down."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Program, request, wait_for

from app.broker import Broker, free_port

FAUST = shutil.which("faust", path=str(Path(sys.executable).parent))


@pytest.fixture
def cluster(broker: Broker, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(broker.url, tmp_path, web_port=free_port()) as cluster:
        yield cluster


@pytest.mark.skipif(FAUST is None, reason="the command `faust` is not beside this Python")
@pytest.mark.parametrize(
    "arguments", ["worker -A app -l info", "-A app worker -l info"], ids=["after", "before"]
)
def test_starts_a_worker_that_becomes_ready(cluster: Cluster, arguments: str) -> None:
    worker = cluster.start(Program("faust", [str(FAUST), *arguments.split()], *cluster.place("faust")))
    url = f"http://127.0.0.1:{cluster.settings.web_port}"

    def ready() -> bool:
        assert worker.code is None, worker.said()
        try:
            return bool(request(f"{url}/readyz")["ready"])
        except OSError:
            return False

    assert wait_for("the worker to be ready", ready)
    assert request(f"{url}/people") == {"people": []}
    assert (cluster.folder / "data" / "workers" / str(cluster.settings.web_port)).is_dir()
    assert worker.stop() == 0
