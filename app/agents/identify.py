"""The identification agent: names the faces of every frame and keeps account of who is where."""

import asyncio
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from app.history.index import History
from app.kafka.dead_letters import DeadLetters, received
from app.kafka.delivery import Delivery
from app.kafka.follower import Follower
from app.messages import Faces, Sighting, decode, encode
from app.metrics import Metrics
from app.settings import Settings
from app.tables.gallery import Gallery
from app.topics import Topics
from app.tracking.stays import Moment, Seen, Stays

if TYPE_CHECKING:
    from faust import StreamT

__all__ = ["Identify", "Past"]

#: How far below the threshold a face is still most likely the person who stands there already.
_DOUBT = 0.6

#: A stream that has fallen silent closes its sightings after the gap, but not before this: a worker
#: that is merely busy must not end a stay. Seconds.
_LEAST_SILENCE = 5.0


class Identify:
    """`faces` -> `sightings`."""

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        gallery: Gallery,
        past: "Past",
        delivery: Delivery,
        dead_letters: DeadLetters,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._topic = topics.sightings
        self._gallery = gallery
        self._past = past
        self._delivery = delivery
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._stays: dict[str, Stays] = defaultdict(self._new_stays)
        self._heard: dict[str, float] = {}
        self._partitions: dict[str, int] = {}
        self._assigned: set[int] = set()
        self._restored: set[int] = set()
        self._restoring = asyncio.Lock()
        # A stream that falls silent is closed after what was told of it last, never before.
        self._telling = asyncio.Lock()

    async def run(self, stream: "StreamT[bytes]") -> None:
        """Name the faces of one frame after the other."""
        async for event in stream.events():
            try:
                await self._identify(decode(Faces, event.message.value), event.message.partition)
            except Exception as error:
                # Faust would restart the agent and lose the message.
                await self._dead_letters.send_failed(received(event), error)

    def keep(self, partitions: set[int]) -> None:
        """Let go of the sightings of partitions that another worker has now."""
        self._assigned = partitions
        self._restored &= partitions
        for name in [name for name, partition in self._partitions.items() if partition not in partitions]:
            self._forget(name)

    async def tidy(self) -> None:
        """Close the sightings of streams that nothing has been heard of; call it every second."""
        for partition in self._assigned - self._restored:
            await self._restore(partition)
        async with self._telling:
            await self._close_silent()

    async def _identify(self, faces: Faces, partition: int) -> None:
        await self._restore(partition)
        async with self._telling:
            self._heard[faces.stream] = time.monotonic()
            self._partitions[faces.stream] = partition
            await self._tell(self._observe(faces), partition)

    async def _close_silent(self) -> None:
        silence = max(self._settings.sighting_gap, _LEAST_SILENCE)
        now = time.monotonic()
        for name in [name for name, heard in self._heard.items() if now - heard > silence]:
            stays, partition = self._stays[name], self._partitions[name]
            del self._heard[name]
            # A stay may have been begun while its partition went to another worker: it is theirs.
            if partition in self._assigned:
                await self._tell(stays.close(), partition)

    def _observe(self, faces: Faces) -> list[Sighting]:
        moment = Moment(faces.stream, faces.partition, faces.offset, faces.captured)
        return self._stays[faces.stream].observe(moment, _seen(faces, self._gallery))

    async def _restore(self, partition: int) -> None:
        if partition in self._restored:
            return
        async with self._restoring:
            if partition in self._restored:
                return
            past = await self._past.recent_on(partition)
            # What this worker remembers from when it had the partition before is out of date.
            for name in [name for name, place in self._partitions.items() if place == partition]:
                self._forget(name)
            for sighting in past:
                self._stays[sighting.stream].restore([sighting])
                if sighting.open:
                    self._heard.setdefault(sighting.stream, time.monotonic())
                self._partitions[sighting.stream] = partition
            if partition in self._assigned:
                self._restored.add(partition)

    async def _tell(self, sightings: list[Sighting], partition: int) -> None:
        for sighting in sightings:
            if not sighting.open:
                self._metrics.sightings.labels(
                    sighting.stream, str(sighting.person is not None).lower()
                ).inc()
            await self._delivery.send(self._topic, sighting.stream.encode(), encode(sighting), partition)

    def _forget(self, name: str) -> None:
        for kept in (self._stays, self._heard, self._partitions):
            kept.pop(name, None)

    def _new_stays(self) -> Stays:
        settings = self._settings
        return Stays(
            gap=int(settings.sighting_gap * 1000),
            update=int(settings.sighting_update * 1000),
            unknown_frames=settings.unknown_frames,
            doubt=self._gallery.threshold * _DOUBT,
        )


class Past:
    """The sightings that other workers, or this one before it was restarted, left behind."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._follower: asyncio.Future[Follower] | None = None

    def follow(self, follower: Follower) -> None:
        """Say who keeps the history up to date."""
        self._following().set_result(follower)

    async def recent_on(self, partition: int) -> list[Sighting]:
        """Return what is open on a partition or ended last, once all that is written there was read."""
        follower = await asyncio.shield(self._following())
        await follower.caught_up(partition)
        return await self._history.recent_on(partition)

    def _following(self) -> "asyncio.Future[Follower]":
        if self._follower is None:
            self._follower = asyncio.get_running_loop().create_future()
        return self._follower


def _seen(faces: Faces, gallery: Gallery) -> list[Seen]:
    sizes = (faces.boxes[:, 2:] - faces.boxes[:, :2]).min(axis=1)
    return [
        Seen(match.person, match.name, match.similarity, match.nearest, float(size), crop)
        for match, size, crop in zip(gallery.name(faces), sizes, faces.crops, strict=True)
        if match is not None
    ]
