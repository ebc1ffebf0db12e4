"""The hub: hands every viewer of a stream the same rendering, made only while somebody watches."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial

from app.history import Streams
from app.kafka import Unreadable
from app.messages import Identifications, StreamStatus
from app.metrics import Metrics
from app.models import ImageError
from app.settings import Settings
from app.topics import Topics
from app.web.live.reader import Identified, Reader
from app.web.live.render import NamedFace, View, render

__all__ = ["Hub", "StreamEndedError", "Viewer"]

_log = logging.getLogger(__name__)

#: Seconds for which a stream is still read when its last viewer has gone: pages reload.
_LINGER = 2.0
_RETRY = 1.0


class StreamEndedError(ConnectionError):
    """A stream is not shown any more: its viewers have to come again."""


class Viewer:
    """One viewer of one stream: always gets the newest view, and skips what it was too slow for."""

    def __init__(self, channel: "_Channel") -> None:
        self._channel = channel
        self._seen: View | None = None

    async def next(self) -> View:
        """Wait for a view that this viewer has not had.

        Raises:
            StreamEndedError: there will be none.
        """
        channel = self._channel
        async with channel.changed:
            await channel.changed.wait_for(lambda: channel.ended or channel.view is not self._seen)
        if channel.ended or channel.view is None:
            raise StreamEndedError("the stream is not shown any more")
        self._seen = channel.view
        return self._seen


class _Channel:
    """One stream while it is watched."""

    def __init__(self) -> None:
        self.view: View | None = None
        #: The newest frame, where it came while nobody watched: it is rendered for who comes next.
        self.passed: Identified | None = None
        self.ended = False
        self.viewers = 0
        self.idle_since = time.monotonic()
        self.changed = asyncio.Condition()
        self.task: asyncio.Task[None] | None = None

    async def show(self, view: View) -> None:
        self.view = view
        async with self.changed:
            self.changed.notify_all()

    async def end(self) -> None:
        self.ended = True
        async with self.changed:
            self.changed.notify_all()


class Hub:
    """The streams that somebody watches."""

    def __init__(
        self, settings: Settings, topics: Topics, streams: Streams, unreadable: Unreadable, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._streams = streams
        self._metrics = metrics
        self._reader: Callable[[StreamStatus], Reader] = partial(Reader, settings, topics, unreadable)
        self._channels: dict[str, _Channel] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="render")

    @asynccontextmanager
    async def watch(self, stream: str) -> AsyncIterator[Viewer]:
        """Watch a stream that the streams' table knows."""
        channel = self._channels.get(stream)
        if channel is None:
            channel = self._channels[stream] = _Channel()
            channel.task = asyncio.create_task(self._run(stream, channel))
        channel.viewers += 1
        gauge = self._metrics.viewers.labels(stream)
        gauge.inc()
        try:
            yield Viewer(channel)
        finally:
            gauge.dec()
            channel.viewers -= 1
            channel.idle_since = time.monotonic()

    async def close(self) -> None:
        """Stop reading."""
        tasks = [channel.task for channel in self._channels.values() if channel.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self, stream: str, channel: _Channel) -> None:
        try:
            while _wanted(channel) and stream in self._streams.statuses:
                await self._read(stream, channel)
        finally:
            del self._channels[stream]
            await channel.end()

    async def _read(self, stream: str, channel: _Channel) -> None:
        """Show a stream until nobody watches or the broker goes away."""
        reader = self._reader(self._streams.statuses[stream])
        try:
            await reader.start()
            while _wanted(channel):
                await self._show_newest(reader, channel)
        except Exception as error:
            # Viewers wait on this task: whatever went wrong, it goes on.
            _log.warning("the stream %s cannot be shown: %r; trying again", stream, error)
            await asyncio.sleep(_RETRY)
        finally:
            await _stop(reader, stream)

    async def _show_newest(self, reader: Reader, channel: _Channel) -> None:
        start = time.monotonic()
        newest = await reader.newest() or channel.passed
        if newest is None:
            return
        if not channel.viewers:
            # Who comes next is to see this, not what was shown to those who have gone.
            channel.passed, channel.view = newest, None
            return
        channel.passed = None
        with suppress(ImageError):
            await channel.show(await self._view(newest))
        # What comes in the meantime is skipped: the newest is shown at most so many times a second.
        await asyncio.sleep(1 / self._settings.view_fps - (time.monotonic() - start))

    async def _view(self, identified: Identified) -> View:
        frame, decided = identified.frame, identified.identifications
        faces = _faces(decided)
        drawing = partial(render, frame.jpeg, faces, self._settings.view_side, self._settings.view_quality)
        jpeg = await asyncio.get_running_loop().run_in_executor(self._thread, drawing)
        self._metrics.rendered.labels(frame.stream).inc()
        return View(frame.stream, frame.captured, decided.offset, decided.width, decided.height, faces, jpeg)


def _faces(decided: Identifications) -> tuple[NamedFace, ...]:
    columns = decided.boxes.tolist(), decided.scores.tolist(), decided.people, decided.names
    return tuple(
        NamedFace(box, score, person, name, None if person is None else similarity)
        for box, score, person, name, similarity in zip(*columns, decided.similarities, strict=True)
    )


async def _stop(reader: Reader, stream: str) -> None:
    try:
        await reader.stop()
    except Exception as error:
        _log.warning("a reader of the stream %s did not stop well: %r", stream, error)


def _wanted(channel: _Channel) -> bool:
    return channel.viewers > 0 or time.monotonic() - channel.idle_since < _LINGER
