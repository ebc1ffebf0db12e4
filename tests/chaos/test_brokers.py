"""The broker is killed or away, alone or with a worker; it comes back on its port, with its folder."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from chaos.scenario import CROWDED, SPREAD
from chaos.stage import Stage
from conftest import frozen, run_apart, running_broker

from app.broker import Broker

LONG = True
SIZES = {"layout": ([], [CROWDED, SPREAD]), "kills": ([], [5])}
RATE = 8
#: Seconds for which a broker is away that stays away.
AWAY = 60


@pytest.fixture
def broker(jars: Path, tmp_path: Path) -> Iterator[Broker]:
    """Yield a broker of the test's own."""
    with running_broker(tmp_path / "broker", jars) as kafka:
        yield kafka


@contextmanager
def killed(broker: Broker) -> Iterator[None]:
    """Kill the broker, and start it again afterwards."""
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)
    run_apart(_end_of(broker))
    try:
        yield
    finally:
        run_apart(broker.start())


async def _end_of(broker: Broker) -> None:
    await broker.wait()


def test_the_broker_is_killed(
    broker: Broker, stage: Stage, kills: int, settle: Callable[[str], None]
) -> None:
    stage.staff(2)
    with stage.writer.writing(RATE):
        for _ in range(kills):
            stage.owners()
            with killed(broker):
                pass
            stage.moved()
        stage.owners()
    settle("SIGKILL of the broker")


def test_the_broker_is_killed_with_the_worker_that_has_most_streams(
    broker: Broker, stage: Stage, kills: int, settle: Callable[[str], None]
) -> None:
    stage.staff(2)
    with stage.writer.writing(RATE):
        for _ in range(kills):
            victim = stage.owners()[0]
            with killed(broker):
                stage.kill(victim)
            stage.moved()
            stage.owners()
            stage.crew.join(victim.worker)
            stage.crew.until_ready()
            stage.moved()
        stage.owners()
    settle("SIGKILL of broker and worker")


@pytest.mark.parametrize("gone", [killed, frozen])
def test_the_broker_is_away_for_long(
    broker: Broker,
    stage: Stage,
    gone: Callable[[Broker], AbstractContextManager[None]],
    settle: Callable[[str], None],
) -> None:
    stage.staff(2)
    with stage.writer.writing(RATE):
        stage.owners()
        with gone(broker):
            time.sleep(AWAY)
        stage.moved()
        stage.owners()
    settle(f"broker {gone.__name__} for {AWAY} s")
