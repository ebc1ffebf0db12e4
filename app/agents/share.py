"""The share of recordings: how much is done for their frames at once beside those of cameras."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

__all__ = ["Share"]

#: Seconds after a camera's last frame for which the next one is expected.
_EXPECTED = 2.0
#: Seconds after which a stage goes on even where cameras leave nothing: two stages are a frame.
_LONGEST = 0.25
#: Most seconds between two looks at the clock while there is no room.
_LOOK = 0.1


class Share:
    """Lets recordings have all threads while no camera has frames, and else what frames of cameras leave.

    What is done for a recording when a camera's frame comes slows that down until it ends: so it is kept off
    beforehand, and ends soon, for room is taken for a stage, not for a frame.

    Args:
        alone: stages of recordings' frames that run at once when no camera has frames.
        beside: frames of cameras and stages of recordings at once, when one more of a recording may begin.
    """

    def __init__(self, alone: int, beside: int) -> None:
        self._alone = alone
        self._beside = max(1, beside)
        self._expected_until = float("-inf")
        self._cameras = 0
        self._recordings = 0
        self._left = asyncio.Event()
        #: In the order in which they came: who waited longest goes on first.
        self._queue = asyncio.Lock()

    @contextmanager
    def camera(self) -> Iterator[None]:
        """Take note of frames of cameras for as long as they are worked on."""
        self._cameras += 1
        try:
            yield
        finally:
            self._cameras -= 1
            self._expected_until = time.monotonic() + _EXPECTED
            self._left.set()

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Wait until a stage of a recording's frame may begin, and count it for as long as this lasts."""
        async with self._queue:
            deadline = time.monotonic() + _LONGEST
            while not self._is_room(now := time.monotonic(), deadline):
                self._left.clear()
                wait = min(_LOOK, deadline - now) if now < deadline else _LOOK
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._left.wait(), wait)
            self._recordings += 1
        try:
            yield
        finally:
            self._recordings -= 1
            self._left.set()

    def _is_room(self, now: float, deadline: float) -> bool:
        if not self._cameras and now > self._expected_until:
            return self._recordings < self._alone
        overdue = now >= deadline and not self._recordings
        return overdue or self._recordings + self._cameras < self._beside
