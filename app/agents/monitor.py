"""The monitor: how each stream of this worker is doing, written to the log about once a second."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

from app.kafka import Delivery, Position, Received
from app.messages import Faces, Frame, StreamStatus, encode
from app.metrics import Metrics
from app.topics import Topics

__all__ = ["Monitor", "StreamMonitor"]

_log = logging.getLogger(__name__)

#: Seconds over which frames a second are counted.
_WINDOW = 5.0
#: Seconds between two warnings of a stream whose frames are skipped.
_WARN_EVERY = 60.0


class StreamMonitor:
    """Counts what happens to the frames of one stream.

    Counts go on from those of the worker that had the stream before; a frame that it has counted is not
    counted again.

    Args:
        before: the last status of the stream on the log.
    """

    def __init__(self, partition: int, before: StreamStatus | None) -> None:
        self.partition = partition
        #: Frames that have come and are not yet worked on.
        self.waiting = 0
        #: When a frame came last, seconds since the epoch.
        self.arrived = 0.0
        #: Skipped frames that are done once their number is on the log.
        self.unpublished: list[Received] = []
        self.changed = False
        self.warned = 0.0
        #: The faces of the newest recognised frame, or what was said of it; while none was, the newest frame.
        self._newest: Faces | Frame | StreamStatus | None = before
        here = before if before and before.partition == partition else None
        self._frame_offset = here.frame_offset if here else None
        self._faces_offset = here.faces_offset if here else None
        self._heard = before.updated / 1000 if before else 0.0
        self._age = before.age if before else 0.0
        self._times: deque[float] = deque()
        self._skips: deque[float] = deque()
        self._frames = before.frames if before else 0
        self._skipped: Counter[str] = Counter(before.skipped if before else {})
        self._counted: dict[str, int] = dict(before.counted) if before else {}

    def arrive(self, frame: Frame) -> None:
        """Take note of a frame that waits to be worked on."""
        self.waiting += 1
        self.arrived = time.time()
        self.changed = True
        if self._newest is None:
            self._newest, self._age, self._heard = frame, _age(frame), self.arrived

    def begin(self) -> None:
        """Take note of a frame that waits no longer."""
        self.waiting -= 1

    def recognised(self, faces: Faces, position: Position) -> float:
        """Count a frame whose faces landed at `position`; return how old it was, seconds."""
        now = time.time()
        self._newest, self._heard, self._age = faces, now, _age(faces)
        self._frame_offset, self._faces_offset = faces.offset, position.offset
        self._times.append(now)
        self._frames += self._count(faces.live, faces.offset)
        self.changed = True
        return self._age

    def skipped(self, frame: Frame, message: Received, reason: str) -> None:
        """Count a frame that was not worked on; its message is done when the status is on the log."""
        now = time.time()
        self._skips.append(now)
        self._skipped[reason] += self._count(frame.live, message.offset)
        if self._faces_offset is None:
            self._newest, self._age, self._heard = frame, _age(frame), self._heard or now
        self.unpublished.append(message)
        self.changed = True

    def status(self, worker: str) -> StreamStatus | None:
        """Return how the stream is doing; None while nothing is known of it."""
        newest = self._newest
        known = self._faces_offset is not None or self.waiting or self._skipped
        if newest is None or not known:
            return None
        return StreamStatus(
            stream=newest.stream,
            partition=self.partition,
            frame_offset=self._frame_offset,
            faces_offset=self._faces_offset,
            worker=worker,
            updated=int(self._heard * 1000),
            captured=newest.captured,
            fps=_rate(self._times),
            age=self._age,
            width=newest.width,
            height=newest.height,
            live=newest.live,
            faces=_faces_in(newest),
            frames=self._frames,
            skipped=dict(self._skipped),
            waiting=self.waiting,
            arrived=int(self.arrived * 1000),
            skipping=_frequency(self._skips),
            counted=dict(self._counted),
        )

    def _count(self, live: bool, offset: int) -> int:
        """Return 1 for a frame that no worker has counted, else 0."""
        lane = "frames" if live else "recordings"
        if offset < self._counted.get(lane, 0):
            return 0
        self._counted[lane] = offset + 1
        return 1


class Monitor:
    """Writes the statuses, and counts for Prometheus.

    Args:
        worker: returns what this worker is called.
    """

    def __init__(
        self, topics: Topics, delivery: Delivery, metrics: Metrics, worker: Callable[[], str]
    ) -> None:
        self._topic = topics.streams
        self._delivery = delivery
        self._metrics = metrics
        self._worker = worker

    def recognised(self, stream: StreamMonitor, faces: Faces, position: Position) -> None:
        """Count a frame whose faces were published at `position`."""
        age = stream.recognised(faces, position)
        self._metrics.frames.labels(faces.stream).inc()
        self._metrics.faces.labels(faces.stream).inc(len(faces))
        self._metrics.age.labels(faces.stream).observe(age)

    def skipped(self, stream: StreamMonitor, frame: Frame, message: Received, reason: str) -> None:
        """Count a frame that was not worked on."""
        stream.skipped(frame, message, reason)
        self._metrics.skipped.labels(frame.stream, reason).inc()
        now = time.monotonic()
        if now - stream.warned >= _WARN_EVERY or not stream.warned:
            stream.warned = now
            text = "frames of the stream %s are skipped: %s, the newest is %.1f s old"
            _log.warning(text, frame.stream, reason, _age(frame))

    async def publish(self, streams: Iterable[StreamMonitor]) -> None:
        """Write the status of every stream that has changed, or has frames that wait."""
        changed = [stream for stream in streams if stream.changed or stream.waiting]
        await asyncio.gather(*(self._publish(stream) for stream in changed))

    async def _publish(self, stream: StreamMonitor) -> None:
        status = stream.status(self._worker())
        if status is None:
            return
        stream.changed = False
        published, stream.unpublished = stream.unpublished, []
        try:
            await self._delivery.send(self._topic, status.stream.encode(), encode(status))
        except BaseException:
            stream.unpublished, stream.changed = published + stream.unpublished, True
            raise
        for message in published:
            message.done()


def _faces_in(newest: Faces | Frame | StreamStatus) -> int:
    if isinstance(newest, StreamStatus):
        return newest.faces
    return len(newest) if isinstance(newest, Faces) else 0


def _age(newest: Faces | Frame) -> float:
    return max(0.0, time.time() - newest.captured / 1000)


def _rate(times: deque[float]) -> float:
    """Return how many a second there were over the last seconds, where they come evenly."""
    _forget(times)
    if len(times) < 2 or times[-1] <= times[0]:
        return 0.0
    return round((len(times) - 1) / (times[-1] - times[0]), 2)


def _frequency(times: deque[float]) -> float:
    """Return how many a second there were over the last seconds, also where some came all at once."""
    _forget(times)
    return round(len(times) / _WINDOW, 2)


def _forget(times: deque[float]) -> None:
    now = time.time()
    while times and now - times[0] > _WINDOW:
        times.popleft()
