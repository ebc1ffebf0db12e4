"""Live pictures without a broker: real faces of a real photograph, shown when a test says so."""

import asyncio
from collections.abc import Callable
from typing import Any

from machine import patience
from makers import EMBEDDER, THRESHOLD, make_frame, make_identifications, make_person, make_status

from app.history.streams import Streams
from app.kafka.dead_letters import Unreadable
from app.messages import Identifications, StreamStatus, encode
from app.metrics import Metrics
from app.models.images import decode_jpeg
from app.models.pipeline import Recogniser
from app.settings import Settings
from app.tables.gallery import Gallery
from app.topics import Topics
from app.web.live.hub import Hub
from app.web.live.reader import Identified

__all__ = ["Studio", "until"]


class Record:
    """A record of a topic, as far as tables look at it."""

    def __init__(self, value: bytes) -> None:
        self.value = value


class LogReader:
    """Stands where the reader of the log stands: hands out the newest frame of a stream."""

    def __init__(self, studio: "Studio", stream: str) -> None:
        self._studio, self._stream = studio, stream
        self._given: Identified | None = None

    async def start(self) -> None:
        self._studio.readers.append(self._stream)
        if self._studio.broken:
            raise self._studio.broken.pop()

    async def stop(self) -> None:
        self._studio.stopped.append(self._stream)
        if self._studio.broken_stop:
            raise self._studio.broken_stop.pop()

    async def newest(self) -> Identified | None:
        try:
            async with asyncio.timeout(0.05), self._studio.changed:
                await self._studio.changed.wait_for(lambda: self._newest() is not self._given)
        except TimeoutError:
            return None
        self._given = self._newest()
        return self._given

    def _newest(self) -> Identified | None:
        return self._studio.newest.get(self._stream)


class Studio:
    """Streams, a gallery and a hub; `show` puts a frame on a stream."""

    def __init__(self, jpeg: bytes, recogniser: Recogniser, **settings: Any) -> None:
        self.settings = Settings(view_fps=60, **settings)
        self.metrics = Metrics()
        self.streams = Streams(keep=2**50)
        self.gallery = Gallery(EMBEDDER, THRESHOLD, 0.05)
        self.jpeg = jpeg
        self.seen = recogniser.analyse(decode_jpeg(jpeg))
        self.newest: dict[str, Identified] = {}
        self.changed = asyncio.Condition()
        self.readers: list[str] = []
        self.stopped: list[str] = []
        self.broken: list[Exception] = []
        self.broken_stop: list[Exception] = []
        self.offset = 0

    def open(self) -> Hub:
        """Return a hub whose frames come from this studio; to be closed."""
        hub = Hub(self.settings, Topics(self.settings), self.streams, Unreadable(self.metrics), self.metrics)
        reader: Any = lambda status: LogReader(self, status.stream)  # noqa: E731
        hub._reader = reader
        return hub

    async def enrol(self) -> None:
        """Enrol one of the two people on the photograph."""
        await self.gallery.put(make_person("ada"))

    async def announce(self, *streams: str | StreamStatus) -> None:
        """Let streams be known, by their names or as they are."""
        statuses = [make_status(stream=one) if isinstance(one, str) else one for one in streams]
        records: Any = [Record(encode(status)) for status in statuses]
        await self.streams.add(records)

    async def show(self, stream: str, people: bool = True) -> int:
        """Put the photograph on a stream, or an empty frame; returns its offset."""
        self.offset += 1
        found = (
            self._identified(stream) if people else make_identifications(stream=stream, offset=self.offset)
        )
        frame = make_frame(self.jpeg, stream=stream)
        async with self.changed:
            self.newest[stream] = Identified(frame, found)
            self.changed.notify_all()
        return self.offset

    def _identified(self, stream: str) -> Identifications:
        """Decide that the first of the two is Ada, and the other one nobody."""
        height, width = decode_jpeg(self.jpeg).shape[:2]
        return make_identifications(
            "ada", None, similarities=[0.8, 0.3], stream=stream, offset=self.offset,
            boxes=self.seen.detections.boxes, scores=self.seen.detections.scores, width=width, height=height,
        )  # fmt: skip

    def rendered(self, stream: str = "door") -> float:
        """Return how many pictures of a stream were drawn."""
        name = "onlooker_rendered_frames_total"
        return self.metrics.registry.get_sample_value(name, {"stream": stream}) or 0


async def until(condition: Callable[[], object], within: float = 20) -> None:
    """Wait until something is so, for so many seconds of a quick machine."""
    async with patience(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
