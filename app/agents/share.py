"""The share of recordings: how many of their frames are worked on at once beside those of cameras."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Share", "usable_cores"]

#: Seconds after a camera's last frame for which the next one is expected.
_EXPECTED = 2.0
#: Seconds between two looks at the clock while there is no room.
_LOOK = 0.1


class Share:
    """Lets recordings have all threads while no camera has frames, and fewer while one has.

    A thread that is busy with a recording when a camera's frame comes slows that down to its end: so they are
    kept off beforehand.

    Arguments:
        alone: frames of recordings that are worked on at once when no camera has any.
        beside: the same when one has; at least one, so that a recording still moves.
    """

    def __init__(self, alone: int, beside: int) -> None:
        self._alone = alone
        self._beside = min(alone, max(1, beside))
        self._camera = float("-inf")
        self._busy = 0
        self._left = asyncio.Event()

    def camera(self) -> None:
        """Take note of a camera's frame."""
        self._camera = time.monotonic()

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Wait until one more recording may be worked on, and take its place for as long as this lasts."""
        while self._busy >= self._most():
            self._left.clear()
            try:
                await asyncio.wait_for(self._left.wait(), _LOOK)
            except TimeoutError:
                continue
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._left.set()

    def _most(self) -> int:
        expected = time.monotonic() - self._camera < _EXPECTED
        return self._beside if expected else self._alone


def usable_cores() -> int:
    """Return how many cores this process may use: containers and affinity leave it fewer than there are."""
    # Not known everywhere (macOS).
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
