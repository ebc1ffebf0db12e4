"""The lanes: frames that wait to be worked on, of cameras in one, of recordings in another."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

from app.agents.partitions import OwnedPartition
from app.agents.stream import OwnedStream, Step, Turns
from app.kafka import Received
from app.messages import Frame

__all__ = ["FrameWork", "Lane", "Share"]

#: Frames of one partition that wait at most before no more are fetched, and at least before more are.
_MOST, _FEW = 16, 8


#: Seconds after a camera's last frame for which the next one is expected.
_EXPECTED = 2.0
#: Seconds after which a stage goes on even where cameras leave nothing. The age of a camera's frames at the
#: 99th percentile of what it is alone (fairness.py): 1.43 with 0.25 s, 1.33 with 0.5 s, 1.26 with 1 s.
_LONGEST = 1.0
#: Most seconds between two looks at the clock while there is no room.
_LOOK = 0.1


@dataclass(slots=True, eq=False)
class FrameWork:
    """A frame on its way through the nets, and its turns among those of its stream."""

    message: Received
    frame: Frame
    partition: OwnedPartition
    stream: OwnedStream
    #: What the next frame of the stream waits for: that this one has been looked at, is on its way, is done.
    turns: Turns = field(default_factory=Turns)
    #: Those of the frame before; None for the first of its stream.
    before: Turns | None = None

    async def until_before(self, step: Step) -> None:
        """Wait until the frame before has taken `step`."""
        if self.before is not None:
            # Who is cancelled while waiting must not cancel what others wait for, too.
            await asyncio.shield(self.before.of(step))

    def step(self, step: Step) -> None:
        """Let the next frame take `step`."""
        turn = self.turns.of(step)
        if not turn.done():
            turn.set_result(None)

    def end(self) -> None:
        """Let the next frame take every step, whatever became of this one."""
        for step in Step:
            self.step(step)


class Lane:
    """Hands out frames to whoever works on them: the streams in turn, each in its own order.

    Args:
        pause, resume: called with a topic and a partition of which enough, or little, waits.
        background: it takes what the other lane leaves.
    """

    def __init__(
        self,
        pause: Callable[[str, int], None],
        resume: Callable[[str, int], None],
        background: bool = False,
    ) -> None:
        self.background = background
        self._pause = pause
        self._resume = resume
        self._streams: OrderedDict[str, deque[FrameWork]] = OrderedDict()
        self._waiting: dict[tuple[str, int], int] = {}
        self._paused: set[tuple[str, int]] = set()
        self._some, self._none = asyncio.Event(), asyncio.Event()

    def put(self, work: FrameWork) -> None:
        """Add a frame behind those of its stream."""
        self._streams.setdefault(work.frame.stream, deque()).append(work)
        work.stream.monitor.arrive(work.frame)
        place = work.message.topic, work.message.partition
        self._waiting[place] = self._waiting.get(place, 0) + 1
        if self._waiting[place] >= _MOST:
            self._paused.add(place)
            self._pause(*place)
        self._some.set()

    async def take(self, most: int = 1, wait: float = 0) -> list[FrameWork]:
        """Wait for a frame, and up to `wait` seconds for others to go with it; return at most so many."""
        await self._until_some()
        taken = [self._next()]
        try:
            async with asyncio.timeout(wait if most > 1 else 0):
                while len(taken) < most:
                    await self._until_some()
                    taken.append(self._next())
        except TimeoutError:
            pass
        return taken

    def clear(self) -> None:
        """Forget what waits: its partitions were revoked, and it waits for another worker now."""
        for works in self._streams.values():
            for work in works:
                work.end()
        self._streams.clear()
        self._waiting.clear()
        for place in self._paused:
            self._resume(*place)
        self._paused.clear()
        self._none.set()

    async def empty(self) -> None:
        """Wait until no frame waits."""
        while self._streams:
            self._none.clear()
            await self._none.wait()

    async def _until_some(self) -> None:
        while not self._streams:
            self._some.clear()
            await self._some.wait()

    def _next(self) -> FrameWork:
        """Take the oldest frame of the stream whose turn it is."""
        name, works = next(iter(self._streams.items()))
        work = works.popleft()
        if works:
            self._streams.move_to_end(name)
        else:
            del self._streams[name]
        if not self._streams:
            self._none.set()
        _take_turn(work)
        self._count_out((work.message.topic, work.message.partition))
        return work

    def _count_out(self, key: tuple[str, int]) -> None:
        self._waiting[key] -= 1
        if key in self._paused and self._waiting[key] <= _FEW:
            self._paused.discard(key)
            self._resume(*key)


def _take_turn(work: FrameWork) -> None:
    """Put a frame behind the one that was taken before it of the same stream."""
    work.stream.monitor.begin()
    work.before = work.stream.turns.get(work.frame.live)
    work.stream.turns[work.frame.live] = work.turns


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
