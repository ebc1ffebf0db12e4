"""The board: how each stream of this worker is doing, written to the log about once a second."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from app.kafka.delivery import Delivery, Position
from app.messages import Faces, Frame, StreamStatus, encode
from app.metrics import Metrics
from app.topics import Topics

__all__ = ["Board"]

_log = logging.getLogger(__name__)

#: Seconds over which frames a second are counted.
_WINDOW = 5.0
#: Seconds between two warnings of a stream whose frames are skipped.
_WARN_EVERY = 60.0
#: Seconds without a frame after which a stream is forgotten, and its counts with it.
_FORGET_AFTER = 24 * 3600.0


@dataclass(slots=True)
class _Line:
    """What is known of one stream."""

    #: The faces of the newest recognised frame; while none was, the newest frame itself.
    newest: Faces | Frame
    partition: int
    #: When that was, and how old the frame was then; seconds.
    heard: float
    age: float
    #: Where the faces are on the log.
    place: Position | None = None
    frames: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    times: deque[float] = field(default_factory=deque)
    changed: bool = True
    #: When a frame came last, and when it was warned that frames are skipped; seconds.
    moved: float = 0.0
    warned: float = 0.0


class Board:
    """Counts what happens to the frames of this worker's streams.

    Arguments:
        worker: returns what this worker is called.
    """

    def __init__(
        self, topics: Topics, delivery: Delivery, metrics: Metrics, worker: Callable[[], str]
    ) -> None:
        self._topic = topics.streams
        self._delivery = delivery
        self._metrics = metrics
        self._worker = worker
        self._lines: dict[str, _Line] = {}

    def recognised(self, faces: Faces, place: Position) -> None:
        """Count a frame whose faces were published at `place`."""
        now, age = time.time(), _age(faces)
        line = self._line(faces, faces.partition)
        line.newest, line.place, line.heard, line.age = faces, place, now, age
        line.frames += 1
        line.times.append(now)
        self._metrics.frames.labels(faces.stream).inc()
        self._metrics.faces.labels(faces.stream).inc(len(faces))
        self._metrics.age.labels(faces.stream).observe(age)

    def skipped(self, frame: Frame, partition: int, reason: str) -> None:
        """Count a frame that was not worked on."""
        self._metrics.skipped.labels(frame.stream, reason).inc()
        line = self._line(frame, partition)
        line.skipped[reason] += 1
        if line.place is None:
            line.newest, line.age = frame, _age(frame)
        if line.moved - line.warned >= _WARN_EVERY:
            line.warned = line.moved
            text = "frames of the stream %s are skipped: %s, the newest is %.1f s old"
            _log.warning(text, frame.stream, reason, _age(frame))

    def keep(self, partitions: set[int]) -> None:
        """Forget the streams of partitions that this worker no longer has."""
        gone = [name for name, line in self._lines.items() if line.partition not in partitions]
        for name in gone:
            del self._lines[name]

    async def publish(self) -> None:
        """Write the status of every stream that has had a frame since the last time."""
        for name, line in list(self._lines.items()):
            if time.time() - line.moved > _FORGET_AFTER:
                self._lines.pop(name, None)
            elif line.changed:
                line.changed = False
                await self._delivery.send(self._topic, name.encode(), encode(self._status(line)))

    def _line(self, newest: Faces | Frame, partition: int) -> _Line:
        """Return the line of a stream of which something has come."""
        now = time.time()
        line = self._lines.get(newest.stream)
        if line is None:
            line = self._lines[newest.stream] = _Line(newest, partition, now, _age(newest))
        line.partition, line.moved, line.changed = partition, now, True
        return line

    def _status(self, line: _Line) -> StreamStatus:
        now = time.time()
        while line.times and now - line.times[0] > _WINDOW:
            line.times.popleft()
        newest = line.newest
        faces = newest if isinstance(newest, Faces) else None
        return StreamStatus(
            stream=newest.stream,
            partition=line.partition,
            frame_offset=None if faces is None else faces.offset,
            faces_offset=line.place.offset if line.place else None,
            worker=self._worker(),
            updated=int(line.heard * 1000),
            captured=newest.captured,
            fps=_rate(line.times),
            age=line.age,
            width=newest.width,
            height=newest.height,
            live=newest.live,
            faces=0 if faces is None else len(faces),
            frames=line.frames,
            skipped=dict(line.skipped),
        )


def _age(newest: Faces | Frame) -> float:
    return max(0.0, time.time() - newest.captured / 1000)


def _rate(times: deque[float]) -> float:
    if len(times) < 2 or times[-1] <= times[0]:
        return 0.0
    return round((len(times) - 1) / (times[-1] - times[0]), 2)
