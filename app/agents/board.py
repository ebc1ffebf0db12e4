"""The board: how each stream of this worker is doing, written to the log about once a second."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from app.agents.outbox import Outbox, Place
from app.messages import Faces, StreamStatus, encode
from app.metrics import Metrics
from app.topics import Topics

__all__ = ["Board"]

#: Seconds over which frames a second are counted.
_WINDOW = 5.0


@dataclass(slots=True)
class _Line:
    """What is known of one stream."""

    newest: Faces
    place: Place
    age: float
    frames: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    times: deque[float] = field(default_factory=deque)
    changed: bool = True


class Board:
    """Counts what happens to the frames of this worker's streams.

    Arguments:
        worker: returns what this worker is called.
    """

    def __init__(self, topics: Topics, outbox: Outbox, metrics: Metrics, worker: Callable[[], str]) -> None:
        self._topic = topics.streams
        self._outbox = outbox
        self._metrics = metrics
        self._worker = worker
        self._lines: dict[str, _Line] = {}
        #: Skipped frames of streams of which no frame has been recognised yet.
        self._early: dict[str, Counter[str]] = {}

    def recognised(self, faces: Faces, place: Place) -> None:
        """Count a frame whose faces were published at `place`."""
        now = time.time()
        age = max(0.0, now - faces.captured / 1000)
        line = self._lines.get(faces.stream)
        if line is None:
            line = self._lines[faces.stream] = _Line(faces, place, age)
            line.skipped += self._early.pop(faces.stream, Counter())
        line.newest, line.place, line.age, line.changed = faces, place, age, True
        line.frames += 1
        line.times.append(now)
        self._metrics.frames.labels(faces.stream).inc()
        self._metrics.faces.labels(faces.stream).inc(len(faces))
        self._metrics.age.labels(faces.stream).observe(age)

    def skipped(self, stream: str, reason: str) -> None:
        """Count a frame that was not worked on."""
        self._metrics.skipped.labels(stream, reason).inc()
        line = self._lines.get(stream)
        (line.skipped if line else self._early.setdefault(stream, Counter()))[reason] += 1

    def keep(self, partitions: set[int]) -> None:
        """Forget the streams of partitions that this worker no longer has."""
        gone = [name for name, line in self._lines.items() if line.newest.partition not in partitions]
        for name in gone:
            del self._lines[name]

    async def publish(self) -> None:
        """Write the status of every stream that has had a frame since the last time."""
        for name, line in list(self._lines.items()):
            if line.changed:
                line.changed = False
                await self._outbox.put(self._topic, name.encode(), encode(self._status(line)))

    def _status(self, line: _Line) -> StreamStatus:
        now = time.time()
        while line.times and now - line.times[0] > _WINDOW:
            line.times.popleft()
        newest = line.newest
        return StreamStatus(
            stream=newest.stream,
            partition=newest.partition,
            frame_offset=newest.offset,
            faces_offset=line.place.offset,
            worker=self._worker(),
            updated=int(now * 1000),
            captured=newest.captured,
            fps=_rate(line.times),
            age=line.age,
            width=newest.width,
            height=newest.height,
            live=newest.live,
            faces=len(newest),
            frames=line.frames,
            skipped=dict(line.skipped),
        )


def _rate(times: deque[float]) -> float:
    if len(times) < 2 or times[-1] <= times[0]:
        return 0.0
    return round((len(times) - 1) / (times[-1] - times[0]), 2)
