"""The work on frames in threads: decoded and analysed, one by one or together."""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from app.errors import OnlookerError, one_line
from app.messages import Frame
from app.models.arrays import Image
from app.models.images import ImageError, decode_jpeg
from app.models.pipeline import Analysis, Recogniser

__all__ = ["Analyst", "Found", "NetsError"]

_log = logging.getLogger(__name__)


class NetsError(OnlookerError):
    """The nets fail whatever they are shown: the device is gone, not a frame bad."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a frame, and the size of its picture in pixels."""

    frame: Frame
    analysis: Analysis
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Opened:
    """A frame and its picture, and the seconds that decoding took."""

    frame: Frame
    image: Image
    seconds: float

    def with_faces(self, analysis: Analysis) -> Found:
        analysis.seconds["decode"] = self.seconds
        height, width = self.image.shape[:2]
        return Found(self.frame, analysis, width, height)


class Analyst:
    """Looks at frames with `recogniser`, in so many threads; to be used as a context."""

    def __init__(self, recogniser: Recogniser, threads: int) -> None:
        self._recogniser = recogniser
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="recognise")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def look(self, frames: Sequence[Frame]) -> list[Found | Exception]:
        """Return what was found in each of `frames`, or why nothing could be; a bad one leaves others alone.

        Raises:
            NetsError: the nets fail on any picture.
        """
        try:
            return await self._look_together(frames)
        except Exception as error:
            if len(frames) == 1:
                await self._check_nets()
                return [error]
            text = "the nets fail on %d frames together, which are now tried one by one: %s"
            _log.warning(text, len(frames), one_line(error))
        return [found for frame in frames for found in await self.look([frame])]

    async def _look_together(self, frames: Sequence[Frame]) -> list[Found | Exception]:
        run = partial(asyncio.get_running_loop().run_in_executor, self._threads)
        if len(frames) == 1:
            return await run(lambda: self._analyse([_opened(frames[0])]))
        opened = await asyncio.gather(*(run(_opened, frame) for frame in frames))
        return await run(self._analyse, opened)

    def _analyse(self, opened: Sequence[_Opened | ImageError]) -> list[Found | Exception]:
        """Run the nets on all pictures that could be decoded."""
        whole = [one.image for one in opened if isinstance(one, _Opened)]
        analyses = iter(self._recogniser.analyse_all(whole) if whole else ())
        return [one if isinstance(one, ImageError) else one.with_faces(next(analyses)) for one in opened]

    async def _check_nets(self) -> None:
        """Raise NetsError where not even a picture without content can be analysed."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._recogniser.check)
        except Exception as error:
            raise NetsError(f"the nets fail on every picture: {one_line(error)}") from error


def _opened(frame: Frame) -> _Opened | ImageError:
    """Decode the JPEG of a frame."""
    start = time.perf_counter()
    try:
        return _Opened(frame, decode_jpeg(frame.jpeg), time.perf_counter() - start)
    except ImageError as error:
        return error
