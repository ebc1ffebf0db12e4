"""What webcams and network streams share: the time of capture, and coming back after a loss."""

import logging
import random
import time
from abc import abstractmethod
from collections.abc import Generator, Iterator

import av
from av.container import InputContainer

from app.sources.base import Bgr, Picture, Source, SourceError, SourceOptions
from app.sources.container import explain, images
from app.sources.pace import Clock, Pace, Thinner

__all__ = ["Backoff", "LiveSource"]

_LOG = logging.getLogger(__name__)


class Backoff:
    """Seconds to wait before the next attempt: doubled each time, with jitter, up to a limit."""

    def __init__(self, first: float = 0.5, most: float = 30.0) -> None:
        self._first = first
        self._most = most
        self._next = first

    def wait(self) -> float:
        """Return how long to wait now; the next wait will be longer."""
        # Many cameras behind one switch come back together: not all sources may ask at once.
        delay = self._next * random.uniform(0.75, 1.25)  # noqa: S311
        self._next = min(self._next * 2, self._most)
        return min(delay, self._most)

    def reset(self) -> None:
        """Begin again with the first wait: an attempt has succeeded."""
        self._next = self._first


class LiveSource(Source):
    """Pictures as they come, opened again whenever they stop coming."""

    live = True

    def __init__(self, name: str, options: SourceOptions, backoff: Backoff | None = None) -> None:
        super().__init__(name, options)
        self._backoff = backoff or Backoff()

    def pictures(self) -> Generator[Picture, None, None]:
        """Give the pictures until `close`; a loss is logged, waited out and counted."""
        clock, thinner, start = Clock(), Thinner(self.options.fps), time.monotonic()
        opened = False
        while not self.closing:
            try:
                with self._open() as container:
                    self.reconnects += opened
                    opened = True
                    for image in self._read(container):
                        now = time.monotonic()
                        if thinner.keeps(now):
                            yield Picture(image, int((now - start) * 1000), clock.now())
                        else:
                            self.skipped["above-fps"] += 1
                    if self._finite(container):
                        return
                reason = "the stream ended"
            except av.FFmpegError as error:
                reason = explain(error)
            except SourceError as error:
                reason = str(error)
            self._rest(reason)

    def _read(self, container: InputContainer) -> Iterator[bytes | Bgr]:
        """Give the pictures of one connection; a medium with an end is given at its own pace."""
        pace = Pace(None, self._closing) if self._finite(container) else None
        for image, pts in images(container, self.skipped, threads=False):
            if pace:
                pace.admit(pts)
            if self.closing:
                return
            self._backoff.reset()
            yield image

    def _rest(self, reason: str) -> None:
        if self.closing:
            return
        delay = self._backoff.wait()
        _LOG.warning("%s: %s; next attempt in %.1f s", self.name, reason, delay)
        self._closing.wait(delay)

    def _finite(self, container: InputContainer) -> bool:
        return False

    @abstractmethod
    def _open(self) -> InputContainer:
        """Connect.

        Raises:
            av.FFmpegError: no connection, or nothing that can be read.
            SourceError: no video in it.
        """
