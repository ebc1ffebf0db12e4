"""Follow a topic on every worker: all its partitions, outside the consumer group."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from app.kafka.clients import make_consumer
from app.settings import Settings
from app.topics import MAX_MESSAGE_BYTES, TopicSpec

__all__ = ["Follower", "ReadFrom"]

_log = logging.getLogger(__name__)

_RETRY = 1.0

Records = Sequence[ConsumerRecord]


class ReadFrom(Exception):
    """Raised by a handler that holds less, or more, than was thought: reading goes on from `positions`.

    Nothing of its batch counts as handled; partitions that are not named are read from their oldest record.
    """

    def __init__(self, positions: Mapping[int, int]) -> None:
        super().__init__(positions)
        self.positions = positions


class Follower:
    """Hand every record of a topic to `handle`, in batches, for as long as it runs.

    Args:
        positions: where to begin, offset by partition; those not named begin at the oldest record.
        handle: is awaited with the records of one fetch, in order within a partition; with none where a
            second went by without any, so that it can mend what it keeps. What it raises ends `run`,
            `ReadFrom` apart.
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
        self._ends: dict[int, int] = {}
        self._handle = handle
        self._moved = asyncio.Condition()
        self._placed = asyncio.Event()
        self._connected = False
        self._consumer = make_consumer(
            settings,
            client_id=f"{settings.app_id}-follower",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        )

    async def run(self) -> None:
        """Follow until cancelled."""
        partitions = [TopicPartition(self._topic.name, number) for number in range(self._topic.partitions)]
        try:
            while True:
                while not self._placed.is_set():
                    await self._place(partitions)
                await self._step()
        finally:
            await self._consumer.stop()

    @property
    def complete(self) -> bool:
        """Tell whether all that was on the topic when reading began, or began again, has been handled."""
        ends = self._ends.items()
        return self._placed.is_set() and all(self._positions.get(place, 0) >= end for place, end in ends)

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
                self._consumer.assign(partitions)
                self._connected = True
            await self._seek(partitions)
        except KafkaError as error:
            _log.warning("cannot follow %s: %s; trying again", self._topic.name, error)
            await asyncio.sleep(_RETRY)
        else:
            self._placed.set()

    async def _seek(self, partitions: Sequence[TopicPartition]) -> None:
        oldest = await self._consumer.beginning_offsets(partitions)
        newest = await self._consumer.end_offsets(partitions)
        self._ends = {place.partition: end for place, end in newest.items()}
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
        try:
            await self._handle(records)
        except ReadFrom as wish:
            await self._begin_again(wish.positions)
        else:
            await self._move(await self._reached())

    async def _begin_again(self, positions: Mapping[int, int]) -> None:
        self._placed.clear()
        self._positions = dict(positions)
        # A handler that loses what it holds again and again must not have the log read without a pause.
        await asyncio.sleep(_RETRY)

    async def _reached(self) -> Mapping[int, int]:
        """Return where reading goes on, by partition.

        No record need be before the end of a log: compaction leaves gaps, and transactions leave marks.
        """
        places = self._consumer.assignment()
        return {place.partition: await self._consumer.position(place) for place in places}

    async def _move(self, positions: Mapping[int, int]) -> None:
        async with self._moved:
            self._positions.update(positions)
            self._moved.notify_all()
