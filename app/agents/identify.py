"""The identification agent: keeps account of who is where, and names them."""

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from app.agents.partitions import OwnedPartition, Partitions
from app.agents.stream import OwnedStream
from app.kafka import DeadLetters, Delivery, Position, Received
from app.kafka.intake import Intake
from app.messages import Faces, Identifications, Sighting, decode, encode
from app.metrics import Metrics
from app.settings import Settings
from app.tables import Gallery
from app.topics import Topics
from app.tracking import Observed

if TYPE_CHECKING:
    from faust import StreamT

__all__ = ["Identify"]

_log = logging.getLogger(__name__)

#: A stream that has fallen silent closes its sightings after the gap, but not before this: a worker
#: that is merely busy must not end a visit. Seconds.
_LEAST_SILENCE = 5.0


class Identify:
    """`faces` -> `identifications`, `sightings`.

    Faces are assigned to visits, and the visits are matched, by one template each: who is named on the live
    picture is who the visit is of. What a frame changes is checkpointed before it is published as sightings,
    so that whoever goes on after a crash goes on with the same visits, also where the gallery has changed
    since.

    Identifications are for the live picture alone, and nothing waits for them but the checkpoint of every
    second. Where a worker dies after a checkpoint that sightings asked for, and before the identifications up
    to there are delivered, the next one does not make them again: those few frames are never shown.
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
        self._sightings = topics.sightings
        self._identifications = topics.identifications
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
                sightings = await self._observe(message, faces, partition)
                if partition.revoked:
                    return
        except Exception as error:
            # An agent that fails ends the worker, and the next one would fail on the same message.
            await self._dead_letters.send_failed(message, error)
        else:
            await self._publish(partition, stream, sightings)
        partition.faces, partition.next = message.ledger, message.offset + 1

    async def _observe(self, message: Received, faces: Faces, partition: OwnedPartition) -> list[Sighting]:
        """Take in a frame that was not taken in before, for the visits and for viewers alike."""
        stream, gallery = partition.stream(faces.stream), self._gallery
        observed = stream.tracker.observe(faces, message.offset, gallery.embedder, gallery.version)
        sightings: list[Sighting] = []
        if observed is None:
            self._metrics.repeated.labels(faces.stream).inc()
        else:
            matches = await gallery.match(observed.templates, observed.sizes) if observed.undecided else []
            if partition.revoked:
                return []
            sightings = stream.tracker.decide(observed, matches, gallery.has)
            self._show(_identifications(observed), partition)
        stream.next, stream.changed, stream.heard = message.offset + 1, True, time.monotonic()
        return sightings

    def _show(self, found: Identifications, partition: OwnedPartition) -> None:
        """Put identifications on their way, behind those of the frames before; nobody waits here."""
        landed = self._delivery.post(
            self._identifications, found.stream.encode(), encode(found), partition.number
        )
        landed.add_done_callback(partial(_landed, found.stream))
        partition.identified = landed

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
            self._delivery.post(self._sightings, key, encode(sighting), partition.number)
            for sighting in state.pending
        ]:
            await landed
        for sighting in sightings:
            if not sighting.open:
                known = str(sighting.person is not None).lower()
                self._metrics.sightings.labels(sighting.stream, known).inc()
        state.pending, stream.changed = [], True


def _landed(stream: str, landed: "asyncio.Future[Position]") -> None:
    # It costs one picture: the sightings are published all the same.
    if not landed.cancelled() and (error := landed.exception()) is not None:
        _log.warning("a frame of the stream %s cannot be shown: %r", stream, error)


def _identifications(observed: Observed) -> Identifications:
    faces = observed.faces
    sightings = [visit.sighting if visit else None for visit in observed.visits]
    return Identifications(
        stream=faces.stream,
        partition=faces.partition,
        offset=faces.offset,
        faces_offset=observed.revision,
        captured=faces.captured,
        width=faces.width,
        height=faces.height,
        live=faces.live,
        boxes=faces.boxes,
        scores=faces.scores,
        people=[sighting.person if sighting else None for sighting in sightings],
        names=[sighting.name if sighting else None for sighting in sightings],
        similarities=[visit.similarity if visit else None for visit in observed.visits],
    )
