"""Whatever waits for Kafka while a worker ends shares one deadline."""

import asyncio
import time

import pytest
from clock import Clock
from machine import patience

from app.kafka import ShutdownDeadline
from app.kafka import shutdown as module


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_before_the_end_everything_has_the_time_that_it_wants(clock: Clock) -> None:
    deadline = ShutdownDeadline(10)
    clock.now += 60
    assert [deadline.left(seconds) for seconds in (0.5, 3, 30)] == [0.5, 3, 30]


def test_from_the_beginning_of_the_end_all_share_the_time(clock: Clock) -> None:
    deadline = ShutdownDeadline(10)
    deadline.begin()
    assert deadline.left(30) == 10
    clock.now += 8
    # Who tells a worker twice does not give it more.
    deadline.begin()
    assert [deadline.left(seconds) for seconds in (1, 5)] == [1, 2]
    clock.now += 8
    assert deadline.left(5) == 0


async def test_what_is_answered_is_waited_for() -> None:
    deadline, done = ShutdownDeadline(), []

    async def answer() -> None:
        await asyncio.sleep(0.01)
        done.append(True)

    deadline.begin()
    await deadline.wait_for(answer())
    assert done == [True]


async def test_what_is_not_answered_is_left_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    deadline = ShutdownDeadline(0.1)
    deadline.begin()
    began = time.monotonic()
    for _ in range(20):
        await deadline.wait_for(asyncio.Event().wait())
    assert time.monotonic() - began < 0.1 * 20
    assert caplog.messages == ["Kafka does not answer: going on without it"] * 20


@pytest.mark.parametrize("seconds", [0, 0.05])
async def test_what_goes_on_when_it_is_cancelled_is_cancelled_again(seconds: float) -> None:
    """The queue of Faust's consumer thread does so, and would go on to wait for the next answer."""
    deadline, cancelled = ShutdownDeadline(seconds), []

    async def stubborn() -> None:
        for _ in range(3):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
        raise OSError("at last")

    deadline.begin()
    async with patience(20):
        await deadline.wait_for(stubborn())
    assert len(cancelled) == 3


async def test_who_waits_can_be_cancelled() -> None:
    cancelled = []

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    waiting = asyncio.create_task(ShutdownDeadline().wait_for(never()))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert cancelled == [True]


async def test_what_kafka_refuses_is_raised() -> None:
    async def refuse() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await ShutdownDeadline().wait_for(refuse())
