"""Recordings have all threads while no camera has frames, and fewer while one has."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from machine import patience

from app.agents import lanes as module
from app.agents.lanes import Share


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody go on for want of patience, however slow the machine is."""
    monkeypatch.setattr(module, "_LONGEST", 3600.0)


async def taken(share: Share, wanted: int, stack: AsyncExitStack) -> int:
    """Return how many of `wanted` places can be had now; they are kept until `stack` ends."""
    for number in range(wanted):
        try:
            async with asyncio.timeout(0.3):
                await stack.enter_async_context(share.room())
        except TimeoutError:
            return number
    return wanted


async def test_all_places_are_had_while_no_camera_has_frames() -> None:
    async with AsyncExitStack() as stack:
        assert await taken(Share(3, 1), 4, stack) == 3


async def test_what_a_camera_leaves_is_had_beside_it() -> None:
    share = Share(4, 3)
    async with AsyncExitStack() as stack:
        with share.camera():
            assert await taken(share, 4, stack) == 2
        # Its next frame is expected, and will have one more beside it than it would like.
        assert await taken(share, 4, stack) == 1


async def test_all_are_had_again_when_the_camera_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EXPECTED", 0.0)
    share = Share(3, 1)
    with share.camera():
        pass
    async with AsyncExitStack() as stack:
        assert await taken(share, 3, stack) == 3


@pytest.mark.parametrize("beside", [0, 1])
async def test_one_is_had_now_and_then_where_cameras_leave_nothing(
    monkeypatch: pytest.MonkeyPatch, beside: int
) -> None:
    share = Share(3, beside)
    async with AsyncExitStack() as stack:
        with share.camera():
            assert await taken(share, 1, stack) == 0
            monkeypatch.setattr(module, "_LONGEST", 0.0)
            assert await taken(share, 3, stack) == 1


async def test_who_waits_goes_on_when_another_leaves() -> None:
    share = Share(1, 1)
    entered = asyncio.Event()

    async def enter() -> None:
        async with share.room():
            entered.set()

    async with share.room():
        waiting = asyncio.create_task(enter())
        await asyncio.sleep(0)
        assert not entered.is_set()
    async with patience(30):
        await entered.wait()
        await waiting


async def test_a_place_is_given_back_where_the_work_fails() -> None:
    share = Share(1, 1)
    with pytest.raises(RuntimeError):
        async with share.room():
            raise RuntimeError
    async with AsyncExitStack() as stack:
        assert await taken(share, 1, stack) == 1
