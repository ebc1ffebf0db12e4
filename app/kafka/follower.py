"""Follow a topic on every worker: all its partitions, outside the consumer group."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from app.settings import Settings
from app.topics import MAX_MESSAGE_BYTES, TopicSpec

__all__ = ["Follower"]

_log = logging.getLogger(__name__)

_RETRY = 1.0

Records = Sequence[ConsumerRecord]


class Follower:
    """Hand every record of a topic to `handle`, in batches, for as long as it runs.

    Arguments:
        positions: where to begin, offset by partition; those not named begin at the oldest record.
        handle: is awaited with the records of one fetch, in order within a partition.
    """

    def __init__(
        self,
        settings: Settings,
        topic: TopicSpec,
        positions: Mapping[int, int],
        handle: Callable[[Records], Awaitable[None]],
    ) -> None:
        self._topic = topic
        self._positions = dict(positions)
        self._handle = handle
        self._moved = asyncio.Condition()
        self._placed = asyncio.Event()
        self._connected = False
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap,
            client_id=f"{settings.app_id}-follower",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        )

    async def run(self) -> None:
        """Follow until cancelled."""
        partitions = [TopicPartition(self._topic.name, number) for number in range(self._topic.partitions)]
        try:
            while not self._placed.is_set():
                await self._place(partitions)
            while True:
                await self._step()
        finally:
            await self._consumer.stop()

    async def caught_up(self, partition: int) -> None:
        """Wait until everything that is on the partition now has been handled."""
        await self._placed.wait()
        place = TopicPartition(self._topic.name, partition)
        end = await self._end(place)
        async with self._moved:
            await self._moved.wait_for(lambda: self._positions.get(partition, 0) >= end)

    async def _end(self, place: TopicPartition) -> int:
        while True:
            try:
                end: int = (await self._consumer.end_offsets([place]))[place]
                return end
            except KafkaError as error:
                _log.warning("asking for the end of %s: %s; trying again", self._topic.name, error)
                await asyncio.sleep(_RETRY)

    async def _place(self, partitions: Sequence[TopicPartition]) -> None:
        """Connect and go to where reading begins; where the broker does not answer, wait a moment."""
        try:
            if not self._connected:
                await self._consumer.start()
                self._connected = True
            self._consumer.assign(partitions)
            await self._seek(partitions)
        except KafkaError as error:
            _log.warning("cannot follow %s: %s; trying again", self._topic.name, error)
            await asyncio.sleep(_RETRY)
        else:
            self._placed.set()

    async def _seek(self, partitions: Sequence[TopicPartition]) -> None:
        oldest = await self._consumer.beginning_offsets(partitions)
        newest = await self._consumer.end_offsets(partitions)
        for place in partitions:
            wanted = self._positions.get(place.partition, 0)
            # A topic made anew is shorter than what was read of the old one: read it from its start.
            position = max(wanted, oldest[place]) if wanted <= newest[place] else oldest[place]
            self._consumer.seek(place, position)
            await self._move({place.partition: position})

    async def _step(self) -> None:
        try:
            batches = await self._consumer.getmany(timeout_ms=1000, max_records=500)
        except KafkaError as error:
            _log.warning("following %s: %s; trying again", self._topic.name, error)
            await asyncio.sleep(_RETRY)
            return
        records = [record for batch in batches.values() for record in batch]
        if records:
            await self._handle(records)
            await self._move({record.partition: record.offset + 1 for record in records})

    async def _move(self, positions: Mapping[int, int]) -> None:
        async with self._moved:
            self._positions.update(positions)
            self._moved.notify_all()
