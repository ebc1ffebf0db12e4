"""A video file: every picture of it, at its own pace or another."""

import logging
from collections.abc import Generator, Iterator
from pathlib import Path

import av
from av.container import InputContainer

from app.sources.base import Bgr, Picture, Source, SourceError, SourceOptions
from app.sources.container import explain, images, open_container
from app.sources.pace import Pace

__all__ = ["FileSource"]

_LOG = logging.getLogger(__name__)


class FileSource(Source):
    """The pictures of a video file, once or again and again.

    Raises:
        SourceError: it is not a video file that can be read.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        super().__init__(str(path), options)
        self._path = path.resolve()
        self._open().close()

    def pictures(self) -> Generator[Picture, None, None]:
        """Give the pictures; their times go on where the file begins again."""
        pace = Pace(self.options.fps, self._closing)
        last, step = -1, 40
        while not self.closing:
            before, start = last, last + step if last >= 0 else 0
            for image, time in self._once():
                pts = max(start + time, last + 1)
                step = pts - last if last >= 0 else step
                last = pts
                captured = pace.admit(pts)
                if self.closing:
                    return
                yield Picture(image, pts, captured)
            if last == before:
                raise SourceError(f"{self.name} holds no picture that can be read")
            if not self.options.loop:
                return

    def _once(self) -> Iterator[tuple[bytes | Bgr, int]]:
        with self._open() as container:
            try:
                yield from images(container, self.skipped, threads=True)
            except av.FFmpegError as error:
                self.skipped["broken-off"] += 1
                _LOG.warning("%s breaks off: %s", self.name, explain(error))

    def _open(self) -> InputContainer:
        try:
            # The prefix keeps a name such as "concat:a" from being taken for a protocol.
            return open_container(f"file:{self._path}", protocols="file")
        except av.FFmpegError as error:
            raise SourceError(f"{self.name} is not a video that can be read: {explain(error)}") from None
        except SourceError:
            raise SourceError(f"{self.name} holds no video") from None
