"""The inference pool: what is done with frames in threads, so that the event loop never waits for it."""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.errors import OnlookerError, one_line
from app.messages import Frame, Gate
from app.models import (
    Floats,
    Image,
    Recogniser,
    appearance_of,
    decode_jpeg,
    encode_jpeg,
    lacks_of,
    patches,
    thumbnail,
)
from app.models.detection import Detections

__all__ = ["Embedded", "InferencePool", "Looked", "NetsError", "TooOld"]

T = TypeVar("T")
U = TypeVar("U")

_log = logging.getLogger(__name__)

#: By how much the system prefers other threads to those of recordings (Linux: nice values of threads).
_NICENESS = 4
_CROP_QUALITY = 85


class NetsError(OnlookerError):
    """The nets fail whatever they are shown: the device is gone, not a frame bad."""


@dataclass(frozen=True, slots=True)
class TooOld:
    """A frame of a camera whose turn came too late to be worth it."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A frame that was decoded and in which faces were looked for."""

    image: Image
    detections: Detections
    #: (N,) uint8, a `Gate` for each face.
    gates: NDArray[np.uint8]
    #: (N,) float32, how good each face is as far as its detection tells.
    appearance: Floats
    #: (N, 192) float32, how each face looks from afar.
    patches: Floats
    #: (18, 32) uint8, the whole picture in grey and small.
    scene: NDArray[np.uint8]
    #: Seconds by stage.
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was made of the faces of a frame.

    embeddings: (N, D) float32 of length one; zeros for a face that was not embedded.
    quality: (N,) float32, 0 to 1, of every face.
    lacks: (N,) uint8, a `Lack` for each face that was embedded.
    crops: JPEG bytes of the aligned faces, None for those that do not travel.
    """

    embeddings: Floats
    quality: Floats
    lacks: NDArray[np.uint8]
    crops: list[bytes | None]
    seconds: dict[str, float]


class InferencePool:
    """Runs `recogniser` in so many threads; to be used as a context.

    Args:
        max_age: seconds after which a frame of a camera is not worth the work, when a thread begins it.
        background: let the system prefer all other threads.
        room: is entered for as long as a stage runs. Each stage anew: what makes room for something else
            makes it after a stage, not only after a frame.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        threads: int,
        max_age: float,
        background: bool = False,
        room: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self._recogniser = recogniser
        self._max_age = max_age
        self._room = room
        self._threads = ThreadPoolExecutor(
            threads,
            thread_name_prefix="recordings" if background else "recognise",
            initializer=_step_back if background else None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def look(self, frames: Sequence[Frame]) -> list[Looked | TooOld | Exception]:
        """Decode each frame and look for faces in it; a bad one leaves others alone.

        Raises:
            NetsError: the nets fail on any picture.
        """
        async with self._room():
            if len(frames) == 1:
                # In one go: a frame that changes threads waits twice.
                return await self._together(lambda some: [self._look_at(some[0])], frames)
            opened = await asyncio.gather(*(self._run(self._open, frame) for frame in frames))
            found = iter(
                await self._together(self._detect, [one for one in opened if isinstance(one, _Opened)])
            )
            return [next(found) if isinstance(one, _Opened) else one for one in opened]

    async def embed(
        self, looked: Sequence[Looked], travel: Sequence[NDArray[np.bool_]]
    ) -> list[Embedded | Exception]:
        """Embed the faces that passed the gate; `travel` says of which, (N,), the pictures are to travel.

        Raises:
            NetsError: the nets fail on any picture.
        """
        nothing_to_do = not any((one.gates == Gate.PASSED).any() for one in looked)
        async with nullcontext() if nothing_to_do else self._room():
            return await self._together(self._embed, list(zip(looked, travel, strict=True)))

    async def _together(
        self, work: Callable[[Sequence[T]], Sequence[U]], items: Sequence[T]
    ) -> list[U | Exception]:
        """Do `work` on all `items` at once; where that fails, on each alone."""
        if not items:
            return []
        try:
            return [*await self._run(work, items)]
        except Exception as error:
            if len(items) == 1:
                await self._check_nets()
                return [error]
            text = "the nets fail on %d frames together, which are now tried one by one: %s"
            _log.warning(text, len(items), one_line(error))
        return [found for item in items for found in await self._together(work, [item])]

    async def _run(self, work: Callable[[T], U], item: T) -> U:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, item)

    async def _check_nets(self) -> None:
        """Raise NetsError where not even a picture without content can be analysed."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._recogniser.check)
        except Exception as error:
            raise NetsError(f"the nets fail on every picture: {one_line(error)}") from error

    def _look_at(self, frame: Frame) -> Looked | TooOld | Exception:
        opened = self._open(frame)
        return self._detect([opened])[0] if isinstance(opened, _Opened) else opened

    def _open(self, frame: Frame) -> "_Opened | TooOld | Exception":
        """Decode the JPEG of a frame, unless its turn has come too late; what a bad one raises is its own."""
        if frame.live and time.time() - frame.captured / 1000 > self._max_age:
            return TooOld()
        start = time.perf_counter()
        try:
            image = decode_jpeg(frame.jpeg)
            return _Opened(image, thumbnail(image), time.perf_counter() - start)
        except Exception as error:
            return error

    def _detect(self, opened: "Sequence[_Opened]") -> list[Looked]:
        start = time.perf_counter()
        found = self._recogniser.detect_all([one.image for one in opened])
        each = (time.perf_counter() - start) / len(opened)
        return [
            Looked(
                one.image,
                detections,
                gates,
                appearance_of(detections),
                patches(one.image, detections.boxes),
                one.scene,
                {"decode": one.seconds, "detect": each},
            )
            for one, (detections, gates) in zip(opened, found, strict=True)
        ]

    def _embed(self, work: Sequence[tuple[Looked, NDArray[np.bool_]]]) -> list[Embedded]:
        start = time.perf_counter()
        aligned = [self._recogniser.align(one.image, one.detections, one.gates) for one, _ in work]
        all_aligned = time.perf_counter()
        vectors = self._recogniser.embed_all(aligned, [one.gates for one, _ in work])
        seconds = {
            "align": (all_aligned - start) / len(work),
            "embed": (time.perf_counter() - all_aligned) / len(work),
        }
        return [
            Embedded(
                made.embeddings,
                self._recogniser.quality(one.detections, faces, made),
                lacks_of(one.detections, faces, one.gates == Gate.PASSED),
                [
                    encode_jpeg(face, _CROP_QUALITY) if goes else None
                    for face, goes in zip(faces, travel, strict=True)
                ],
                seconds,
            )
            for made, faces, (one, travel) in zip(vectors, aligned, work, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Opened:
    """The picture of a frame, whole and small, and the seconds that decoding took."""

    image: Image
    scene: NDArray[np.uint8]
    seconds: float


def _step_back() -> None:
    """Let the system prefer other threads to this one, where it can tell threads apart."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)
