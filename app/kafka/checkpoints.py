"""The checkpoints: what is known of each stream, on the log for the worker that has it next."""

import asyncio
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from app.kafka.clients import make_consumer
from app.kafka.delivery import Delivery
from app.kafka.ledger import PartitionLedger, Received
from app.messages import Checkpoint, MessageError, decode, encode
from app.settings import Settings
from app.topics import MAX_MESSAGE_BYTES, Topics

__all__ = ["Checkpoints", "Stored"]

_log = logging.getLogger(__name__)

_RETRY = 0.5
#: Milliseconds.
_FETCH_WAIT = 20

Record: TypeAlias = "ConsumerRecord[bytes, bytes]"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the log holds for a stream."""

    message: Received
    #: None where it is no checkpoint; `error` says why.
    checkpoint: Checkpoint | None
    error: MessageError | None = None


class Checkpoints:
    """Writes and reads checkpoints, all those of a partition of `faces` on the same partition."""

    def __init__(self, settings: Settings, topics: Topics, delivery: Delivery) -> None:
        self._settings = settings
        self._topic = topics.checkpoints
        self._faces = topics.faces
        self._delivery = delivery

    async def write(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Deliver `checkpoints`; returns once they are there."""
        await asyncio.gather(
            *(
                self._delivery.post(self._topic, one.stream.encode(), encode(one), one.partition)
                for one in checkpoints
            )
        )

    async def read(self, partitions: Collection[int]) -> dict[int, list[Stored]]:
        """Return the checkpoint that stands for most of each stream, by partition.

        Tries again for as long as the broker is away.
        """
        while True:
            try:
                return await self._read(partitions)
            except (KafkaError, OSError) as error:
                _log.warning("cannot read the checkpoints: %s; trying again", error)
                await asyncio.sleep(_RETRY)

    async def _read(self, partitions: Collection[int]) -> dict[int, list[Stored]]:
        places = [TopicPartition(self._topic.name, number) for number in partitions]
        faces = [TopicPartition(self._faces.name, number) for number in partitions]
        found: dict[int, dict[bytes, Stored]] = {number: {} for number in partitions}
        consumer = make_consumer(
            self._settings,
            client_id=f"{self._settings.app_id}-checkpoints",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # A fetch that waits for news at the end holds up the one that a seek wants.
            fetch_max_wait_ms=_FETCH_WAIT,
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        )
        try:
            await consumer.start()
            consumer.assign(places)
            ends = await consumer.end_offsets([*places, *faces])
            await consumer.seek_to_beginning(*places)
            while any([await consumer.position(place) < ends[place] for place in places]):
                for place, records in (await consumer.getmany(timeout_ms=1000)).items():
                    for record in records:
                        _take(record, found[place.partition], ends[faces[places.index(place)]])
        finally:
            # Also where it could not start: it holds what it has begun with.
            await consumer.stop()
        return {number: list(stored.values()) for number, stored in found.items()}


def _take(record: Record, found: dict[bytes, Stored], end: int) -> None:
    """Take note of a record where it is better than what came before it with the same key.

    Args:
        end: of `faces`; a checkpoint that stands for more is one of a topic that was made anew since.
    """
    key, before = record.key or b"", found.get(record.key or b"")
    if record.value is None:
        found.pop(key, None)
        return
    message = Received(
        record.topic, record.partition, record.offset, record.key, record.value, {}, PartitionLedger(0)
    )
    try:
        checkpoint = decode(Checkpoint, record.value)
    except MessageError as error:
        found[key] = Stored(message, None, error)
        return
    # The last to write may have been away while somebody else went on.
    further = before is None or before.checkpoint is None or checkpoint.next >= before.checkpoint.next
    if further and checkpoint.next <= end:
        found[key] = Stored(message, checkpoint)
