"""The partitions that this worker has, and what is known of their streams: opened, checkpointed, let go."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator

from app.agents.monitor import StreamMonitor
from app.agents.stream import OwnedStream
from app.kafka import Checkpoints, DeadLetters, PartitionLedger, Position, Received, Stored
from app.messages import Checkpoint, MessageError, StreamStatus
from app.tracking import TrackletRules, VisitRules, VisitTracker, read_state, write_state

__all__ = ["OwnedPartition", "Partitions"]

_log = logging.getLogger(__name__)

_RETRY = 1.0


class OwnedPartition:
    """One partition of `frames`, `recordings` and `faces` alike, with its streams.

    lock: to be held by whoever reads or changes what is checkpointed.
    """

    def __init__(self, number: int, new_stream: Callable[[str, int], OwnedStream]) -> None:
        self.number = number
        self.streams: dict[str, OwnedStream] = {}
        self.lock = asyncio.Lock()
        #: The checkpoints have been read.
        self.open = asyncio.Event()
        #: It is being revoked: no more work is begun. It was: somebody else may have it.
        self.leaving = self.revoked = False
        #: The ledger of `faces`, and the first offset that has not been taken in; once there was one.
        self.faces: PartitionLedger | None = None
        self.next = 0
        #: Where the last identifications that were posted land; once there were some.
        self.identified: asyncio.Future[Position] | None = None
        self._new_stream = new_stream

    def stream(self, name: str) -> OwnedStream:
        """Return what is known of a stream; of one that is new, nothing."""
        if name not in self.streams:
            self.streams[name] = self._new_stream(name, self.number)
        return self.streams[name]


class Partitions:
    """The only place that keeps anything by stream.

    State is opened when a partition is assigned, from its checkpoints, and dropped when it is revoked: a
    worker that was away never goes on with what it knew.

    Args:
        previous: returns the last status of a stream on the log.
        ready: waits until that can be told.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        dead_letters: DeadLetters,
        rules: VisitRules,
        tracklets: TrackletRules,
        previous: Callable[[str], StreamStatus | None],
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        self._checkpoints = checkpoints
        self._dead_letters = dead_letters
        self._rules = rules
        self._tracklets = tracklets
        self._previous = previous
        self._ready = ready
        self._partitions: dict[int, OwnedPartition] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[OwnedPartition]:
        return iter(tuple(self._partitions.values()))

    @property
    def monitors(self) -> list[StreamMonitor]:
        """The monitors of all streams."""
        return [stream.monitor for partition in self for stream in partition.streams.values()]

    def assign(self, numbers: Iterable[int]) -> None:
        """Take over the partitions `numbers`, and no others; they are opened in the background."""
        self.drop()
        for number in numbers:
            self._partitions[number] = OwnedPartition(number, self._new_stream)
        task = asyncio.create_task(self._open(dict(self._partitions)))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def of(self, message: Received) -> OwnedPartition | None:
        """Return the partition of a message, which may not be open yet; None where it was revoked."""
        if message.revoked:
            return None
        return self._partitions.get(message.partition)

    def drop(self) -> None:
        """Let go of all partitions: somebody else may have them."""
        for task in self._opening:
            task.cancel()
        for partition in self._partitions.values():
            partition.leaving = partition.revoked = True
            # Whoever waits for it is to see that.
            partition.open.set()
        self._partitions.clear()

    async def checkpoint(self) -> None:
        """Write the state of every stream that has changed; what it stands for is done then."""
        for partition in self:
            if partition.open.is_set():
                async with partition.lock:
                    if partition.identified is not None:
                        # Those posted before them have landed then, too; one that cannot costs a picture.
                        await asyncio.wait([partition.identified])
                    await self.write(partition, [one for one in partition.streams.values() if one.changed])
                    # Where it was revoked meanwhile, nothing was written: it is somebody else's to do.
                    if partition.faces is not None and not partition.revoked:
                        partition.faces.done_before(partition.next)

    async def write(self, partition: OwnedPartition, streams: Iterable[OwnedStream]) -> None:
        """Write the state of `streams`; the partition's lock is held."""
        chosen = list(streams)
        if not chosen or partition.revoked:
            return
        await self._checkpoints.write(_checkpoint(partition, stream) for stream in chosen)
        for stream in chosen:
            stream.changed = False

    async def _open(self, partitions: dict[int, OwnedPartition]) -> None:
        while True:
            try:
                return await self._try_to_open(partitions)
            except Exception:
                _log.exception("the checkpoints cannot be read; trying again")
            await asyncio.sleep(_RETRY)

    async def _try_to_open(self, partitions: dict[int, OwnedPartition]) -> None:
        found = await self._checkpoints.read(partitions) if partitions else {}
        await self._ready()
        for number, partition in partitions.items():
            if partition.open.is_set():
                # In an earlier try, and at work since.
                continue
            for stored in found[number]:
                await self._restore(partition, stored)
            partition.open.set()

    async def _restore(self, partition: OwnedPartition, stored: Stored) -> None:
        checkpoint = stored.checkpoint
        try:
            if checkpoint is None:
                raise stored.error or MessageError("malformed", "no readable Checkpoint")
            state = read_state(checkpoint.state)
        except MessageError as error:
            key = (stored.message.key or b"").decode("ascii", "replace")
            _log.warning("the checkpoint of the stream %s cannot be read, and it begins anew: %s", key, error)
            await self._dead_letters.send(stored.message, error.reason, str(error))
            return
        stream = partition.stream(checkpoint.stream)
        stream.tracker = VisitTracker(self._rules, state)
        stream.next = checkpoint.next
        stream.heard = time.monotonic() if state.visits else None

    def _new_stream(self, name: str, partition: int) -> OwnedStream:
        monitor = StreamMonitor(partition, self._previous(name))
        return OwnedStream(name, monitor, VisitTracker(self._rules), self._tracklets)


def _checkpoint(partition: OwnedPartition, stream: OwnedStream) -> Checkpoint:
    return Checkpoint(
        stream=stream.name,
        partition=partition.number,
        next=stream.next,
        state=write_state(stream.tracker.state),
    )
