"""The frames of a stream take their steps one after the other, whoever works on them."""

import asyncio
from typing import Any

import pytest
from machine import patience
from makers import make_frame, make_received

from app.agents.lanes import FrameWork
from app.agents.stream import Step, Turns


def work(before: FrameWork | None = None) -> FrameWork:
    """Return a frame that comes after `before`."""
    nowhere: Any = None
    made = FrameWork(make_received(), make_frame(b""), nowhere, nowhere)
    made.before = before.turns if before else None
    return made


async def passes(waiting: "asyncio.Task[None]") -> bool:
    """Tell whether a wait is over once everybody has had their say."""
    for _ in range(3):
        await asyncio.sleep(0)
    return waiting.done()


async def test_no_step_has_been_taken_at_first() -> None:
    turns = Turns()
    assert not any(turns.of(step).done() for step in Step)


@pytest.mark.parametrize("step", Step)
async def test_the_first_frame_waits_for_nobody(step: Step) -> None:
    async with patience(20):
        await work().until_before(step)


@pytest.mark.parametrize("step", Step)
async def test_a_frame_waits_for_that_step_of_the_one_before(step: Step) -> None:
    first = work()
    waiting = asyncio.create_task(work(first).until_before(step))
    for other in set(Step) - {step}:
        first.step(other)
    assert not await passes(waiting)
    first.step(step)
    assert await passes(waiting)


async def test_a_frame_does_not_wait_for_those_before_the_one_before() -> None:
    first = work()
    second = work(first)
    waiting = asyncio.create_task(work(second).until_before(Step.POSTED))
    second.step(Step.POSTED)
    assert await passes(waiting)
    assert not first.turns.of(Step.POSTED).done()


async def test_a_frame_that_ended_keeps_nobody_waiting() -> None:
    first = work()
    first.step(Step.DECIDED)
    second = work(first)
    waiting = [asyncio.create_task(second.until_before(step)) for step in Step]
    first.end()
    first.end()
    first.step(Step.DONE)
    assert all([await passes(one) for one in waiting])


async def test_who_gives_up_waiting_takes_nobodys_turn() -> None:
    """A cancelled wait must not end the step itself, for which others wait, too."""
    first = work()
    second = work(first)
    waiting = [asyncio.create_task(second.until_before(Step.DONE)) for _ in range(2)]
    assert not await passes(waiting[1])
    waiting[0].cancel()
    assert not await passes(waiting[1])
    first.step(Step.DONE)
    assert await passes(waiting[1])
    assert waiting[1].exception() is None
