"""Live pictures without a broker: real faces of a real photograph, shown when a test says so."""

import asyncio
from collections.abc import Callable
from typing import Any

from makers import THRESHOLD, make_faces, make_frame, make_person, make_status, make_template

from app.history.streams import Streams
from app.messages import Faces, StreamStatus, encode
from app.metrics import Metrics
from app.models.images import decode_jpeg
from app.models.pipeline import Recogniser
from app.settings import Settings
from app.tables.gallery import Gallery
from app.topics import Topics
from app.web.live.hub import Hub
from app.web.live.reader import Recognised

__all__ = ["Studio", "until"]


class Record:
    """A record of a topic, as far as tables look at it."""

    def __init__(self, value: bytes) -> None:
        self.value = value


class LogReader:
    """Stands where the reader of the log stands: hands out the newest frame of a stream."""

    def __init__(self, studio: "Studio", stream: str) -> None:
        self._studio, self._stream = studio, stream
        self._given: Recognised | None = None

    async def start(self) -> None:
        self._studio.readers.append(self._stream)
        if self._studio.broken:
            raise self._studio.broken.pop()

    async def stop(self) -> None:
        self._studio.stopped.append(self._stream)
        if self._studio.broken_stop:
            raise self._studio.broken_stop.pop()

    async def newest(self) -> Recognised | None:
        try:
            async with asyncio.timeout(0.05), self._studio.changed:
                await self._studio.changed.wait_for(lambda: self._newest() is not self._given)
        except TimeoutError:
            return None
        self._given = self._newest()
        return self._given

    def _newest(self) -> Recognised | None:
        return self._studio.newest.get(self._stream)


class Studio:
    """Streams, a gallery and a hub; `show` puts a frame on a stream."""

    def __init__(self, jpeg: bytes, recogniser: Recogniser, **settings: Any) -> None:
        self.settings = Settings(view_fps=60, **settings)
        self.metrics = Metrics()
        self.streams = Streams(keep=2**50)
        self.embedder = "embedder@01234567"
        self.gallery = Gallery(self.embedder, THRESHOLD, 0.05)
        self.jpeg = jpeg
        self.seen = recogniser.analyse(decode_jpeg(jpeg))
        self.newest: dict[str, Recognised] = {}
        self.changed = asyncio.Condition()
        self.readers: list[str] = []
        self.stopped: list[str] = []
        self.broken: list[Exception] = []
        self.broken_stop: list[Exception] = []
        self.offset = 0

    def open(self) -> Hub:
        """Return a hub whose frames come from this studio; to be closed."""
        hub = Hub(self.settings, Topics(self.settings), self.streams, self.gallery, self.metrics)
        reader: Any = lambda status: LogReader(self, status.stream)  # noqa: E731
        hub._reader = reader
        return hub

    async def enrol(self) -> None:
        """Enrol one of the two people on the photograph."""
        template = make_template(self.seen.embeddings[0], embedder=self.embedder)
        await self.gallery.put(make_person("ada", templates=[template]))

    async def announce(self, *streams: str | StreamStatus) -> None:
        """Let streams be known, by their names or as they are."""
        statuses = [make_status(stream=one) if isinstance(one, str) else one for one in streams]
        records: Any = [Record(encode(status)) for status in statuses]
        await self.streams.add(records)

    async def show(self, stream: str, people: bool = True) -> int:
        """Put the photograph on a stream, or an empty frame; returns its offset."""
        self.offset += 1
        faces = self._faces(stream) if people else make_faces(stream=stream, offset=self.offset)
        frame = make_frame(self.jpeg, stream=stream)
        async with self.changed:
            self.newest[stream] = Recognised(frame, faces)
            self.changed.notify_all()
        return self.offset

    def _faces(self, stream: str) -> Faces:
        height, width = decode_jpeg(self.jpeg).shape[:2]
        return make_faces(
            self.seen.embeddings, stream=stream, offset=self.offset, embedder=self.embedder,
            boxes=self.seen.detections.boxes, scores=self.seen.detections.scores, gates=self.seen.gates,
            width=width, height=height,
        )  # fmt: skip

    def rendered(self, stream: str = "door") -> float:
        """Return how many pictures of a stream were drawn."""
        name = "onlooker_rendered_frames_total"
        return self.metrics.registry.get_sample_value(name, {"stream": stream}) or 0


async def until(condition: Callable[[], object], within: float = 20) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
