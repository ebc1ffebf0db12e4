"""The recognition agent: finds and embeds every face of every frame."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from app.agents.analyst import Analyst, Found
from app.agents.board import Board
from app.agents.crops import Crops
from app.agents.nets import Nets
from app.kafka.dead_letters import DeadLetters, received
from app.kafka.delivery import Delivery
from app.messages import Faces, Frame, MessageError, decode_frame, encode
from app.metrics import Metrics
from app.models.images import ImageError
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
class _Skipped:
    frame: Frame
    reason: str


_Outcome: TypeAlias = Found | _Skipped | Exception


class Recognise:
    """`frames` -> `faces`.

    Several frames are worked on at once, on a CPU each on one thread, on a GPU those of several streams
    together; what is found leaves in the order of the frames, and a frame is acknowledged once its faces
    are. A worker that dies therefore repeats a few frames and loses none. Where the nets fail on any picture,
    the run ends with NetsError, and the frames go to another worker.

    Arguments:
        nets: waited for before the first frame.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        nets: Nets,
        delivery: Delivery,
        dead_letters: DeadLetters,
        board: Board,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._topic = topics.faces
        self._nets = nets
        self._delivery = delivery
        self._dead_letters = dead_letters
        self._board = board
        self._metrics = metrics
        self._crops = Crops()
        self._in_flight = _frames_in_flight(settings)

    async def run(self, stream: "StreamT[bytes]") -> None:
        """Work on frames until the stream ends."""
        recogniser = await self._nets.get()
        # Twice as many as are worked on: a slow frame at the head must not leave the others idle.
        queue: asyncio.Queue[_Work] = asyncio.Queue(2 * max(self._in_flight, recogniser.batch))
        with Analyst(recogniser, self._in_flight) as analyst:
            async with asyncio.TaskGroup() as tasks:
                publisher = tasks.create_task(self._publish_in_order(queue))
                async for events in self._taken(cast("Stream[bytes]", stream), recogniser.batch):
                    works = [_Work(event, asyncio.get_running_loop().create_future()) for event in events]
                    tasks.create_task(self._settle(works, analyst))
                    for work in works:
                        await queue.put(work)
                await queue.join()
                publisher.cancel()

    async def _taken(self, stream: "Stream[bytes]", most: int) -> AsyncIterator[Sequence["EventT[bytes]"]]:
        """Yield events that are to be worked on together, at most so many; none is acknowledged."""
        # Without `noack`, `noack_take` acknowledges what comes after the agent has failed, unlooked at.
        quiet = cast("Stream[bytes]", stream.noack())
        if most == 1:
            async for event in quiet.events():
                yield [event]
        else:
            async for events in quiet.noack_take(most, self._settings.batch_wait):
                yield cast("Sequence[EventT[bytes]]", events)

    async def _settle(self, works: Sequence[_Work], analyst: Analyst) -> None:
        """Settle the outcome of each of `works`."""
        frames: dict[int, Frame] = {}
        for row, work in enumerate(works):
            read = self._read(work.event)
            if isinstance(read, Frame):
                frames[row] = read
            else:
                work.outcome.set_result(read)
        if not frames:
            return
        self._metrics.batches.observe(len(frames))
        found = await analyst.look(list(frames.values()))
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

    async def _publish_in_order(self, queue: "asyncio.Queue[_Work]") -> None:
        while True:
            work = await queue.get()
            try:
                await self._publish(work.event, await work.outcome)
            except Exception as error:
                # Whatever it was, the next frame must not wait for it; nothing is acknowledged unwritten.
                await self._dead_letters.send_failed(received(work.event), error)
            work.event.ack()
            queue.task_done()

    async def _publish(self, event: "EventT[bytes]", outcome: _Outcome) -> None:
        match outcome:
            case Found():
                faces = self._faces(event, outcome)
                place = await self._delivery.send(
                    self._topic, event.message.key, encode(faces), faces.partition
                )
                self._board.recognised(faces, place)
                for stage, seconds in outcome.analysis.seconds.items():
                    self._metrics.stages.labels(stage).observe(seconds)
            case _Skipped():
                self._board.skipped(outcome.frame, event.message.partition, outcome.reason)
            case MessageError() | ImageError():
                await self._dead_letters.send(received(event), outcome.reason, str(outcome))
            case _:
                await self._dead_letters.send_failed(received(event), outcome)

    def _faces(self, event: "EventT[bytes]", found: Found) -> Faces:
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


def _frames_in_flight(settings: Settings) -> int:
    return settings.in_flight or (os.cpu_count() or 1) + 1
