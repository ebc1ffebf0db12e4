"""The recognition agent: finds and embeds every face of every frame."""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from app.agents.board import Board
from app.agents.crops import Crops
from app.agents.nets import Nets
from app.agents.outbox import Letters, Outbox, letter
from app.messages import Faces, Frame, MessageError, decode_frame, encode
from app.metrics import Metrics
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
class _Skipped:
    frame: Frame
    reason: str


_Outcome: TypeAlias = _Found | _Skipped | MessageError | ImageError


class Recognise:
    """`frames` -> `faces`.

    Several frames are worked on at once, each on one thread; what is found leaves in the order of
    the frames, and a frame is acknowledged once its faces are. A worker that dies therefore repeats
    a few frames and loses none.

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
        # Twice as many as there are threads: a slow frame at the head must not leave them idle.
        queue: asyncio.Queue[_Work] = asyncio.Queue(2 * self._in_flight)
        async with asyncio.TaskGroup() as tasks:
            publisher = tasks.create_task(self._publish_in_order(queue))
            async for event in cast("Stream[bytes]", stream).noack().events():
                await queue.put(_Work(event, self._begin(event, recogniser)))
            await queue.join()
            publisher.cancel()

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, event: "EventT[bytes]", recogniser: Recogniser) -> "asyncio.Future[_Outcome]":
        """Start to work on a frame."""
        loop = asyncio.get_running_loop()
        message = event.message
        try:
            frame = decode_frame(message.key, message.value, dict(message.headers or {}))
        except MessageError as error:
            return _known(loop, error)
        if frame.live and time.time() - frame.captured / 1000 > self._settings.live_max_age:
            return _known(loop, _Skipped(frame, "too-old"))
        return loop.run_in_executor(self._threads, _look, recogniser, frame)

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


def _look(recogniser: Recogniser, frame: Frame) -> _Found | ImageError:
    """Decode a frame and run the nets on it; in a thread."""
    start = time.perf_counter()
    try:
        image = decode_jpeg(frame.jpeg)
    except ImageError as error:
        return error
    decoded = time.perf_counter() - start
    analysis = recogniser.analyse(image)
    analysis.seconds["decode"] = decoded
    height, width = image.shape[:2]
    return _Found(frame, analysis, width, height)


def _known(loop: asyncio.AbstractEventLoop, outcome: _Outcome) -> "asyncio.Future[_Outcome]":
    future: asyncio.Future[_Outcome] = loop.create_future()
    future.set_result(outcome)
    return future


def _frames_in_flight(settings: Settings) -> int:
    return settings.in_flight or (os.cpu_count() or 1) + 1
