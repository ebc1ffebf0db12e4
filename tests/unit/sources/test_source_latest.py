"""The one-slot buffer."""

import asyncio
import threading

import pytest

from app.sources.latest import LatestSlot


async def test_a_live_buffer_keeps_the_newest_and_counts():
    buffer = LatestSlot[int](replace=True)
    assert all(buffer.put(number) for number in range(5))
    assert await buffer.get() == 4
    assert buffer.replaced == 4


async def test_a_recorded_buffer_loses_nothing():
    buffer = LatestSlot[int](replace=False)
    thread = threading.Thread(target=lambda: [buffer.put(number) for number in range(200)] and buffer.close())
    thread.start()
    got = []
    while (item := await buffer.get()) is not None:
        got.append(item)
    thread.join()
    assert got == list(range(200))
    assert buffer.replaced == 0


async def test_closing_frees_whoever_waits_to_put():
    buffer = LatestSlot[int](replace=False)
    buffer.put(1)
    refused = asyncio.create_task(asyncio.to_thread(buffer.put, 2))
    buffer.close()
    assert await refused is False
    assert [await buffer.get(), await buffer.get(), await buffer.get()] == [1, None, None]


async def test_an_error_comes_after_the_last_item():
    buffer = LatestSlot[int](replace=True)
    buffer.put(1)
    buffer.close(ValueError("lost"))
    assert await buffer.get() == 1
    with pytest.raises(ValueError, match="lost"):
        await buffer.get()


def test_a_loop_that_has_ended_is_no_error():
    async def make() -> LatestSlot[int]:
        return LatestSlot(replace=True)

    buffer = asyncio.run(make())
    assert buffer.put(1)
    buffer.close()
