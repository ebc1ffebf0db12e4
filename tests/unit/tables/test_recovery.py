"""A recovery whose step takes too long begins anew, and ends for a worker that stops alone."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.tables.recovery import RebalanceAgain, ServiceStopped

from app.tables.recovery import PatientRecovery


@pytest.fixture
def recovery() -> PatientRecovery:
    conf = SimpleNamespace(stream_recovery_delay=0)
    app: Any = SimpleNamespace(should_stop=False, conf=conf)
    return PatientRecovery(app, SimpleNamespace())


async def test_a_step_that_takes_too_long_begins_anew(
    recovery: PatientRecovery, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RebalanceAgain):
        await recovery._wait(asyncio.sleep(60), timeout=0.01)
    assert recovery.signal_recovery_start.is_set()
    assert caplog.messages == ["a step of the tables' recovery took longer than 0.01 s: it begins anew"]


@pytest.mark.parametrize("who", ["the recovery", "the worker"])
async def test_it_ends_with_the_worker(recovery: PatientRecovery, who: str) -> None:
    if who == "the recovery":
        await recovery.stop()
    else:
        recovery.app.should_stop = True
    with pytest.raises(ServiceStopped):
        await recovery._wait(asyncio.sleep(60), timeout=0.01)
    assert not recovery.signal_recovery_start.is_set()


async def test_a_step_in_time_is_done(recovery: PatientRecovery) -> None:
    await recovery._wait(asyncio.sleep(0), timeout=20)
