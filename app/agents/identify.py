"""The identification agent: names the faces of every frame and keeps account of who is where."""

import time
from typing import TYPE_CHECKING

from app.agents.partitions import OwnedPartition, OwnedStream, Partitions
from app.kafka.dead_letters import DeadLetters
from app.kafka.delivery import Delivery
from app.kafka.intake import Intake, Received
from app.messages import Faces, Sighting, decode, encode
from app.metrics import Metrics
from app.settings import Settings
from app.tables.gallery import Gallery
from app.topics import Topics
from app.tracking.visits import Moment, Seen

if TYPE_CHECKING:
    from faust import StreamT

__all__ = ["Identify"]

#: A stream that has fallen silent closes its sightings after the gap, but not before this: a worker
#: that is merely busy must not end a visit. Seconds.
_LEAST_SILENCE = 5.0


class Identify:
    """`faces` -> `sightings`.

    What a frame changes is checkpointed before it is published, so that whoever goes on after a crash goes on
    with the same visits, also where the gallery has changed since.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        gallery: Gallery,
        intake: Intake,
        partitions: Partitions,
        delivery: Delivery,
        dead_letters: DeadLetters,
        metrics: Metrics,
    ) -> None:
        self._silence = max(settings.sighting_gap, _LEAST_SILENCE)
        self._topic = topics.sightings
        self._gallery = gallery
        self._intake = intake
        self._partitions = partitions
        self._delivery = delivery
        self._dead_letters = dead_letters
        self._metrics = metrics

    async def run(self, stream: "StreamT[bytes]") -> None:
        """Name the faces of one frame after the other; they are done with the next checkpoint."""
        async for message in self._intake.messages(stream):
            partition = self._partitions.of(message)
            if partition is None:
                continue
            await partition.open.wait()
            async with partition.lock:
                if not partition.revoked:
                    await self._take_in(message, partition)

    async def close_silent(self) -> None:
        """Close the sightings of streams of which nothing is heard; call it every second."""
        for partition in self._partitions:
            if partition.open.is_set():
                async with partition.lock:
                    await self._close_silent(partition)

    async def _take_in(self, message: Received, partition: OwnedPartition) -> None:
        try:
            faces = decode(Faces, message.value)
            stream = partition.stream(faces.stream)
            sightings: list[Sighting] = []
            if message.offset >= stream.next:
                seen = await _seen(faces, self._gallery)
                if partition.revoked:
                    return
                sightings = self._observe(message, faces, seen, stream)
        except Exception as error:
            # An agent that fails ends the worker, and the next one would fail on the same message.
            await self._dead_letters.send_failed(message, error)
        else:
            await self._publish(partition, stream, sightings)
        partition.faces, partition.next = message.ledger, message.offset + 1

    def _observe(
        self, message: Received, faces: Faces, seen: list[Seen], stream: OwnedStream
    ) -> list[Sighting]:
        revision = message.offset
        moment = Moment(faces.stream, faces.partition, faces.offset, faces.live, faces.captured, revision)
        sightings = stream.tracker.observe(moment, seen)
        stream.next, stream.changed, stream.heard = message.offset + 1, True, time.monotonic()
        if sightings is None:
            self._metrics.repeated.labels(faces.stream).inc()
        return sightings or []

    async def _close_silent(self, partition: OwnedPartition) -> None:
        now = time.monotonic()
        # Others may add to them meanwhile.
        for stream in tuple(partition.streams.values()):
            pending = stream.tracker.state.pending
            if stream.heard is not None and now - stream.heard > self._silence and not partition.revoked:
                stream.heard, stream.changed = None, True
                await self._publish(partition, stream, stream.tracker.close(max(0, stream.next - 1)))
            elif pending:
                # A worker before this one may not have come to it.
                await self._publish(partition, stream, [])

    async def _publish(
        self, partition: OwnedPartition, stream: OwnedStream, sightings: list[Sighting]
    ) -> None:
        """Write the state that `sightings` follow from, then them; the partition's lock is held."""
        state = stream.tracker.state
        state.pending = [*state.pending, *sightings]
        if not state.pending:
            return
        await self._partitions.write(partition, [stream])
        if partition.revoked:
            return
        key = stream.name.encode()
        for landed in [
            self._delivery.post(self._topic, key, encode(sighting), partition.number)
            for sighting in state.pending
        ]:
            await landed
        for sighting in sightings:
            if not sighting.open:
                known = str(sighting.person is not None).lower()
                self._metrics.sightings.labels(sighting.stream, known).inc()
        state.pending, stream.changed = [], True


async def _seen(faces: Faces, gallery: Gallery) -> list[Seen]:
    matches = await gallery.name(faces)
    sizes = (faces.boxes[:, 2:] - faces.boxes[:, :2]).min(axis=1)
    return [
        Seen(match.person, match.name, match.similarity, match.nearest, float(size), crop)
        for match, size, crop in zip(matches, sizes, faces.crops, strict=True)
        if match is not None
    ]
