"""The recognition agent: finds and embeds every face of every frame."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from app.agents.inference import Embedded, InferencePool, Looked, TooOld
from app.agents.lanes import FrameWork, Lane, Share
from app.agents.monitor import Monitor
from app.agents.partitions import Partitions
from app.agents.stream import Step
from app.cores import usable_cores
from app.kafka import DeadLetters, Delivery, Position, Received
from app.kafka.intake import Intake
from app.messages import Faces, Gate, MessageError, decode_frame, encode
from app.metrics import Metrics
from app.models import ImageError, Nets, Recogniser
from app.settings import Settings
from app.topics import Topics
from app.tracking import Followed, Seen

if TYPE_CHECKING:
    from faust import StreamT

__all__ = ["Recognise"]


@dataclass(frozen=True, slots=True)
class _Decided:
    """A frame whose faces are followed; the gate says which of them are embedded."""

    looked: Looked
    followed: Followed


#: What was found in a frame: where faces are, and what was made of them.
_Found: TypeAlias = tuple[_Decided, Embedded]

#: Frames whose faces may be on their way to the broker; more wait, and so do those behind them.
_UNDER_WAY = 256
#: Seconds that frames in work may take to be finished when partitions are revoked: others wait for them.
_FINISH = 2.0


class Recognise:
    """`frames`, `recordings` -> `faces`.

    Cameras and recordings are two lanes with threads of their own; recordings take what frames of cameras
    leave, and the system prefers the threads of those. In each lane several frames are worked on at once, on
    a CPU each on one thread, on a GPU those of several streams together, in three stages: faces are looked
    for; in the order of each stream it is decided what is worth embedding; that is embedded. What was found
    leaves in the order of each stream, and a frame is done once its faces are delivered. A worker that dies
    therefore repeats a few frames and loses none. Where the nets fail on any picture, the run ends with
    NetsError, and the frames go to another worker.

    Args:
        nets: waited for before the first frame.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        nets: Nets,
        intake: Intake,
        partitions: Partitions,
        delivery: Delivery,
        dead_letters: DeadLetters,
        monitor: Monitor,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._topic = topics.faces
        self._nets = nets
        self._intake = intake
        self._partitions = partitions
        self._delivery = delivery
        self._dead_letters = dead_letters
        self._monitor = monitor
        self._metrics = metrics
        self._lanes: list[Lane] = []
        self._share = Share(_frames_in_flight(settings), usable_cores() - 1)
        self._under_way = asyncio.Semaphore(_UNDER_WAY)
        #: Frames that have begun and are not done.
        self._busy: set[FrameWork] = set()

    async def run(self, stream: "StreamT[bytes]") -> None:
        """Work on the frames of cameras until the stream ends."""
        await self._run(stream, background=False)

    async def run_recordings(self, stream: "StreamT[bytes]") -> None:
        """Work on the frames of recordings until the stream ends."""
        await self._run(stream, background=True)

    async def finish(self) -> None:
        """Begin no more frames, and wait a moment for those that have begun: partitions are being revoked."""
        for partition in self._partitions:
            partition.leaving = True
        for lane in self._lanes:
            lane.clear()
        try:
            async with asyncio.timeout(_FINISH):
                while self._busy:
                    await asyncio.wait([work.turns.of(Step.DONE) for work in self._busy])
        except TimeoutError:
            pass

    async def _run(self, stream: "StreamT[bytes]", background: bool) -> None:
        recogniser = await self._nets.get()
        lane = Lane(self._intake.pause, self._intake.resume, background)
        self._lanes.append(lane)
        async with self._workers(lane, recogniser) as tasks:
            async for message in self._intake.messages(stream):
                partition = self._partitions.of(message)
                if partition is None:
                    continue
                await partition.open.wait()
                if partition.leaving:
                    continue
                try:
                    frame = decode_frame(message.key, message.value, message.headers)
                except MessageError as error:
                    tasks.create_task(self._reject(message, error))
                else:
                    lane.put(FrameWork(message, frame, partition, partition.stream(frame.stream)))
            await lane.empty()
            await self.finish()

    @asynccontextmanager
    async def _workers(self, lane: Lane, recogniser: Recogniser) -> AsyncIterator[asyncio.TaskGroup]:
        """Run what works on the frames of `lane`."""
        threads = _frames_in_flight(self._settings)
        room = self._share.room if lane.background else nullcontext
        with InferencePool(recogniser, threads, self._settings.live_max_age, lane.background, room) as pool:
            async with asyncio.TaskGroup() as tasks:
                workers = [
                    tasks.create_task(self._work(lane, pool, recogniser.batch, tasks)) for _ in range(threads)
                ]
                yield tasks
                for worker in workers:
                    worker.cancel()

    async def _work(self, lane: Lane, pool: InferencePool, most: int, tasks: asyncio.TaskGroup) -> None:
        while True:
            taken = await lane.take(most, self._settings.batch_wait)
            with nullcontext() if lane.background else self._share.camera():
                await self._begin(taken, pool, tasks)

    async def _begin(self, taken: Sequence[FrameWork], pool: InferencePool, tasks: asyncio.TaskGroup) -> None:
        """Work on those frames that are still this worker's."""
        works = [work for work in taken if not work.partition.leaving]
        for work in taken:
            if work not in works:
                work.end()
        if works:
            self._busy.update(works)
            self._metrics.batches.observe(len(works))
            await self._process(works, pool, tasks)

    async def _process(
        self, works: Sequence[FrameWork], pool: InferencePool, tasks: asyncio.TaskGroup
    ) -> None:
        """Take frames through the stages; what was found is on its way when this returns."""
        outcomes = await pool.look([work.frame for work in works])
        decided = await asyncio.gather(
            *(self._decide(work, outcome) for work, outcome in zip(works, outcomes, strict=True))
        )
        found = await self._embed(decided, pool)
        for work, one, outcome in zip(works, decided, found, strict=True):
            if isinstance(one, _Decided) and isinstance(outcome, Exception):
                # Their embeddings are nowhere.
                work.stream.tracklets[work.frame.live].begin_again(one.followed)
            await work.until_before(Step.POSTED)
            await self._conclude(work, outcome, tasks)

    async def _embed(
        self, decided: Sequence[_Decided | TooOld | Exception], pool: InferencePool
    ) -> list[_Found | TooOld | Exception]:
        """Embed the faces of those frames that could be looked at, together."""
        chosen = [one for one in decided if isinstance(one, _Decided)]
        embedded = iter(
            await pool.embed([one.looked for one in chosen], [one.followed.pictured for one in chosen])
        )
        return [_found(one, next(embedded)) if isinstance(one, _Decided) else one for one in decided]

    async def _decide(
        self, work: FrameWork, outcome: Looked | TooOld | Exception
    ) -> _Decided | TooOld | Exception:
        """Decide, in the order of the stream, which faces of a frame are embedded, and whose crops travel."""
        await work.until_before(Step.DECIDED)
        try:
            return _decided(work, outcome) if isinstance(outcome, Looked) else outcome
        finally:
            work.step(Step.DECIDED)

    async def _conclude(
        self, work: FrameWork, outcome: _Found | TooOld | Exception, tasks: asyncio.TaskGroup
    ) -> None:
        """Put what was found in a frame on its way, in the order of the stream."""
        if work.message.revoked:
            self._end(work)
        elif isinstance(outcome, TooOld):
            tasks.create_task(self._skipped(work, "too-old"))
        elif isinstance(outcome, Exception):
            tasks.create_task(self._failed(work, outcome))
        else:
            await self._post(work, *outcome, tasks)
        work.step(Step.POSTED)

    async def _post(
        self, work: FrameWork, decided: _Decided, embedded: Embedded, tasks: asyncio.TaskGroup
    ) -> None:
        try:
            faces = self._faces(work, decided, embedded)
            value = encode(faces)
        except ValueError as error:
            # The nets made numbers that are none.
            tasks.create_task(self._failed(work, error))
            return
        await self._under_way.acquire()
        landed = self._delivery.post(self._topic, work.message.key, value, work.message.partition)
        tasks.create_task(self._delivered(work, faces, landed))
        for stage, seconds in {**decided.looked.seconds, **embedded.seconds}.items():
            self._metrics.stages.labels(stage).observe(seconds)

    async def _delivered(self, work: FrameWork, faces: Faces, landed: "asyncio.Future[Position]") -> None:
        try:
            position = await landed
        except Exception as error:
            await self._dead_letters.send_failed(work.message, error)
        else:
            await work.until_before(Step.DONE)
            self._monitor.recognised(work.stream.monitor, faces, position)
        finally:
            self._under_way.release()
        work.message.done()
        self._end(work)

    async def _skipped(self, work: FrameWork, reason: str) -> None:
        await work.until_before(Step.DONE)
        # The message is done when the count is on the log.
        self._monitor.skipped(work.stream.monitor, work.frame, work.message, reason)
        self._end(work)

    async def _failed(self, work: FrameWork, error: Exception) -> None:
        await self._reject(work.message, error)
        self._end(work)

    async def _reject(self, message: Received, error: Exception) -> None:
        """Write a frame to the dead letters; it is done then."""
        if isinstance(error, MessageError | ImageError):
            await self._dead_letters.send(message, error.reason, str(error))
        else:
            await self._dead_letters.send_failed(message, error)
        message.done()

    def _end(self, work: FrameWork) -> None:
        self._busy.discard(work)
        work.end()

    def _faces(self, work: FrameWork, decided: _Decided, embedded: Embedded) -> Faces:
        frame, message, looked = work.frame, work.message, decided.looked
        height, width = looked.image.shape[:2]
        return Faces(
            stream=frame.stream,
            partition=message.partition,
            offset=message.offset,
            seq=frame.seq,
            captured=frame.captured,
            width=width,
            height=height,
            live=frame.live,
            detector=self._nets.detector,
            embedder=self._nets.embedder,
            boxes=looked.detections.boxes,
            landmarks=looked.detections.landmarks,
            scores=looked.detections.scores,
            gates=looked.gates,
            embeddings=embedded.embeddings.astype(np.float16),
            crops=embedded.crops,
            tracklets=decided.followed.numbers,
            quality=embedded.quality,
            lacks=embedded.lacks,
        )


def _decided(work: FrameWork, looked: Looked) -> _Decided:
    """Follow the faces of a frame, and choose those that are embedded."""
    frame, passed = work.frame, looked.gates == Gate.PASSED
    seen = Seen(looked.scene, looked.detections.boxes, looked.patches, looked.appearance, passed)
    followed = work.stream.tracklets[frame.live].follow(frame.captured, work.message.offset, seen)
    gates = np.where(passed & ~followed.due, Gate.FOLLOWED, looked.gates).astype(np.uint8)
    return _Decided(replace(looked, gates=gates), followed)


def _found(decided: _Decided, embedded: Embedded | Exception) -> _Found | Exception:
    return embedded if isinstance(embedded, Exception) else (decided, embedded)


def _frames_in_flight(settings: Settings) -> int:
    return settings.in_flight or usable_cores() + 1
