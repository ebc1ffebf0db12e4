"""What is written to Kafka: delivered before it counts as written, however long the broker is away."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.partitioner import DefaultPartitioner

from app.kafka.clients import make_producer
from app.settings import Settings
from app.topics import MAX_MESSAGE_BYTES, TopicSpec

__all__ = ["Delivery", "KafkaDelivery", "Position"]

_log = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
#: Bytes that go in one request to a partition; a larger message goes alone.
_TOGETHER = 2**20


class Position(NamedTuple):
    """Where a message landed."""

    partition: int
    offset: int


class Delivery(Protocol):
    """Somewhere that messages can be delivered to."""

    def post(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> "asyncio.Future[Position]":
        """Put a message on its way, behind those posted before; the future says where it has landed."""
        ...

    async def send(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> Position:
        """Deliver a message, to the partition of its key unless one is given; returns once it is there."""
        ...


class _Posted(NamedTuple):
    """A message on its way."""

    key: bytes | None
    value: bytes
    landed: "asyncio.Future[Position]"


class KafkaDelivery:
    """Delivers through a producer of its own, in the order of each partition.

    While the broker takes what was posted to a partition, what comes gathers, and goes together: a round trip
    does not cap the messages a second, and no message overtakes another, also when one has to be sent again.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._queues: dict[tuple[str, int], _Queue] = {}

    def post(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> "asyncio.Future[Position]":
        """Put a message on its way, behind those posted before; the future says where it has landed."""
        number = _partition_of(topic, key) if partition is None else partition
        queue = self._queues.get((topic.name, number))
        if queue is None:
            queue = self._queues[topic.name, number] = _Queue(self, topic.name, number)
        return queue.put(key, value)

    async def send(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> Position:
        """Deliver a message, to the partition of its key unless one is given; returns once it is there."""
        return await self.post(topic, key, value, partition)

    async def close(self, seconds: float) -> None:
        """Wait so long for what is on its way, then let go of the broker."""
        end = asyncio.get_running_loop().time() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await asyncio.gather(*(queue.empty() for queue in self._queues.values()))
        for queue in self._queues.values():
            queue.cancel()
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(TimeoutError, KafkaError):
                async with asyncio.timeout_at(end):
                    await producer.stop()

    async def producer(self) -> AIOKafkaProducer:
        """Return the producer, connected.

        Raises:
            KafkaError: no broker answers.
        """
        async with self._starting:
            if self._producer is None:
                made = make_producer(
                    self._settings,
                    client_id=f"{self._settings.app_id}-delivery",
                    acks="all",
                    max_batch_size=_TOGETHER,
                    max_request_size=MAX_MESSAGE_BYTES,
                )
                try:
                    await made.start()
                except BaseException:
                    await made.stop()
                    raise
                self._producer = made
            return self._producer


class _Queue:
    """What is on its way to one partition."""

    def __init__(self, delivery: KafkaDelivery, topic: str, partition: int) -> None:
        self._delivery = delivery
        self._topic = topic
        self._partition = partition
        self._waiting: deque[_Posted] = deque()
        self._sender: asyncio.Task[None] | None = None

    def put(self, key: bytes | None, value: bytes) -> "asyncio.Future[Position]":
        """Add a message; it is sent with those that wait already."""
        landed: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Posted(key, value, landed))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        return landed

    async def empty(self) -> None:
        """Wait until nothing is on its way."""
        if self._sender is not None:
            await asyncio.wait([self._sender])

    def cancel(self) -> None:
        """Give up what is on its way."""
        if self._sender is not None:
            self._sender.cancel()
        for posted in self._waiting:
            posted.landed.cancel()

    async def _send(self) -> None:
        while self._waiting:
            group = self._take()
            try:
                await self._send_together(group)
            except asyncio.CancelledError:
                for posted in group:
                    posted.landed.cancel()
                raise

    async def _send_together(self, group: Sequence[_Posted]) -> None:
        try:
            first = await self._deliver(group)
        except Exception as error:
            await self._one_by_one(group, error)
        else:
            _settle(group, self._partition, first)

    def _take(self) -> list[_Posted]:
        """Take what goes together."""
        group, size = [self._waiting.popleft()], 0
        while self._waiting:
            size += len(group[-1].value) + len(group[-1].key or b"") + 64
            if size + len(self._waiting[0].value) > _TOGETHER * 3 // 4:
                break
            group.append(self._waiting.popleft())
        return group

    async def _one_by_one(self, group: Sequence[_Posted], error: Exception) -> None:
        """Deliver what can be of a group that is refused: one message may be to blame."""
        if len(group) == 1:
            if not group[0].landed.cancelled():
                group[0].landed.set_exception(error)
            return
        for posted in group:
            try:
                _settle([posted], self._partition, await self._deliver([posted]))
            except Exception as own:
                await self._one_by_one([posted], own)

    async def _deliver(self, group: Sequence[_Posted]) -> int:
        """Return the offset of the first of `group` once all of it is there."""
        wait = _FIRST_WAIT
        while True:
            try:
                return await self._try(group)
            except (KafkaError, OSError) as error:
                if not _passing(error):
                    raise
                text = "cannot write to %s: %s; trying again in %.1f s"
                _log.warning(text, self._topic, str(error) or type(error).__name__, wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _try(self, group: Sequence[_Posted]) -> int:
        producer = await self._delivery.producer()
        batch = producer.create_batch()
        for posted in group:
            if batch.append(key=posted.key, value=posted.value, timestamp=None) is None:
                raise ValueError("more messages than go together")
        # Or what others send to the partition would be put into it.
        batch.close()
        landed = await producer.send_batch(batch, self._topic, partition=self._partition)
        return int((await landed).offset)


def _settle(group: Sequence[_Posted], partition: int, first: int) -> None:
    for number, posted in enumerate(group):
        # Whoever posted it may have gone.
        if not posted.landed.cancelled():
            posted.landed.set_result(Position(partition, first + number))


def _partition_of(topic: TopicSpec, key: bytes | None) -> int:
    """Return the partition that Kafka's own clients choose for `key`."""
    numbers = list(range(topic.partitions))
    return 0 if key is None else int(DefaultPartitioner()(key, numbers, numbers))


def _passing(error: Exception) -> bool:
    """Tell whether an error may go away by itself."""
    # The producer gives up on a broker that is away for long with an error that it calls final.
    return isinstance(error, KafkaTimeoutError | OSError) or bool(getattr(error, "retriable", False))
