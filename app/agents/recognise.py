"""The recognition agent: finds and embeds every face of every frame."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from app.agents.board import Board
from app.agents.crops import Crops
from app.agents.nets import Nets
from app.agents.outbox import Letters, Outbox, letter
from app.messages import Faces, Frame, MessageError, decode_frame, encode
from app.metrics import Metrics
from app.models.arrays import Image
from app.models.images import ImageError, decode_jpeg
from app.models.pipeline import Analysis, Recogniser
from app.settings import Settings
from app.topics import Topics

if TYPE_CHECKING:
    from faust import EventT, Stream, StreamT

__all__ = ["Recognise"]


@dataclass(frozen=True, slots=True)
class _Work:
    """A frame on its way through the nets; `outcome` is what is to be published of it."""

    event: "EventT[bytes]"
    outcome: "asyncio.Future[_Outcome]"


@dataclass(frozen=True, slots=True)
class _Found:
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

    def with_faces(self, analysis: Analysis) -> _Found:
        analysis.seconds["decode"] = self.seconds
        height, width = self.image.shape[:2]
        return _Found(self.frame, analysis, width, height)


@dataclass(frozen=True, slots=True)
class _Skipped:
    frame: Frame
    reason: str


_Outcome: TypeAlias = _Found | _Skipped | MessageError | ImageError


class Recognise:
    """`frames` -> `faces`.

    Several frames are worked on at once, on a CPU each on one thread, on a GPU those of several streams
    together; what is found leaves in the order of the frames, and a frame is acknowledged once its faces
    are. A worker that dies therefore repeats a few frames and loses none.

    Arguments:
        nets: waited for before the first frame.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        nets: Nets,
        outbox: Outbox,
        letters: Letters,
        board: Board,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._topic = topics.faces
        self._nets = nets
        self._outbox = outbox
        self._letters = letters
        self._board = board
        self._metrics = metrics
        self._crops = Crops()
        self._in_flight = _frames_in_flight(settings)
        self._threads = ThreadPoolExecutor(self._in_flight, thread_name_prefix="recognise")

    async def run(self, stream: "StreamT[bytes]") -> None:
        """Work on frames until the stream ends."""
        recogniser = await self._nets.get()
        # Twice as many as are worked on: a slow frame at the head must not leave the others idle.
        queue: asyncio.Queue[_Work] = asyncio.Queue(2 * max(self._in_flight, recogniser.batch))
        async with asyncio.TaskGroup() as tasks:
            publisher = tasks.create_task(self._publish_in_order(queue))
            async for events in self._taken(cast("Stream[bytes]", stream), recogniser.batch):
                works = [_Work(event, asyncio.get_running_loop().create_future()) for event in events]
                tasks.create_task(self._recognise(works, recogniser))
                for work in works:
                    await queue.put(work)
            await queue.join()
            publisher.cancel()

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _taken(self, stream: "Stream[bytes]", most: int) -> AsyncIterator[Sequence["EventT[bytes]"]]:
        """Yield events that are to be worked on together, at most so many; none is acknowledged."""
        if most == 1:
            async for event in stream.noack().events():
                yield [event]
        else:
            async for events in stream.noack_take(most, self._settings.batch_wait):
                yield cast("Sequence[EventT[bytes]]", events)

    async def _recognise(self, works: "Sequence[_Work]", recogniser: Recogniser) -> None:
        """Settle the outcome of each of `works`; what is wrong with one frame stays with it."""
        frames: dict[int, Frame] = {}
        for row, work in enumerate(works):
            read = self._read(work.event)
            if isinstance(read, Frame):
                frames[row] = read
            else:
                work.outcome.set_result(read)
        try:
            found = await self._look(list(frames.values()), recogniser) if frames else []
        except Exception as error:
            if len(frames) == 1:
                works[next(iter(frames))].outcome.set_exception(error)
                return
            for row in frames:
                await self._recognise([works[row]], recogniser)
            return
        for row, outcome in zip(frames, found, strict=True):
            works[row].outcome.set_result(outcome)

    def _read(self, event: "EventT[bytes]") -> "Frame | _Skipped | MessageError":
        message = event.message
        try:
            frame = decode_frame(message.key, message.value, dict(message.headers or {}))
        except MessageError as error:
            return error
        if frame.live and time.time() - frame.captured / 1000 > self._settings.live_max_age:
            return _Skipped(frame, "too-old")
        return frame

    async def _look(self, frames: Sequence[Frame], recogniser: Recogniser) -> "list[_Found | ImageError]":
        """Run the nets on `frames`, in threads."""
        run = partial(asyncio.get_running_loop().run_in_executor, self._threads)
        if len(frames) == 1:
            return await run(lambda: _analysed([_opened(frames[0])], recogniser))
        opened = await asyncio.gather(*(run(_opened, frame) for frame in frames))
        return await run(_analysed, opened, recogniser)

    async def _publish_in_order(self, queue: "asyncio.Queue[_Work]") -> None:
        while True:
            work = await queue.get()
            try:
                await self._publish(work.event, await work.outcome)
            except Exception as error:
                # Whatever it was, the next frame must not wait for it; nothing is acknowledged unwritten.
                await self._letters.bury_failed(letter(work.event), error)
            work.event.ack()
            queue.task_done()

    async def _publish(self, event: "EventT[bytes]", outcome: _Outcome) -> None:
        match outcome:
            case _Found():
                faces = self._faces(event, outcome)
                place = await self._outbox.put(self._topic, event.message.key, encode(faces), faces.partition)
                self._board.recognised(faces, place)
                for stage, seconds in outcome.analysis.seconds.items():
                    self._metrics.stages.labels(stage).observe(seconds)
            case _Skipped():
                self._board.skipped(outcome.frame, event.message.partition, outcome.reason)
            case MessageError() | ImageError():
                await self._letters.bury(letter(event), outcome.reason, str(outcome))

    def _faces(self, event: "EventT[bytes]", found: _Found) -> Faces:
        frame, analysis = found.frame, found.analysis
        return Faces(
            stream=frame.stream,
            partition=event.message.partition,
            offset=event.message.offset,
            seq=frame.seq,
            captured=frame.captured,
            width=found.width,
            height=found.height,
            live=frame.live,
            detector=self._nets.detector,
            embedder=self._nets.embedder,
            boxes=analysis.detections.boxes,
            landmarks=analysis.detections.landmarks,
            scores=analysis.detections.scores,
            gates=analysis.gates,
            embeddings=analysis.embeddings.astype(np.float16),
            crops=self._crops.choose(frame.stream, frame.captured, analysis),
        )


def _opened(frame: Frame) -> "_Opened | ImageError":
    """Decode the JPEG of a frame."""
    start = time.perf_counter()
    try:
        return _Opened(frame, decode_jpeg(frame.jpeg), time.perf_counter() - start)
    except ImageError as error:
        return error


def _analysed(
    opened: "Sequence[_Opened | ImageError]", recogniser: Recogniser
) -> "list[_Found | ImageError]":
    """Run the nets on all images that could be decoded."""
    whole = [one for one in opened if isinstance(one, _Opened)]
    analyses = iter(recogniser.analyse_all([one.image for one in whole]) if whole else ())
    return [one if isinstance(one, ImageError) else one.with_faces(next(analyses)) for one in opened]


def _frames_in_flight(settings: Settings) -> int:
    return settings.in_flight or (os.cpu_count() or 1) + 1
