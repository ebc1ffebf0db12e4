"""What is written to Kafka: delivered before it counts as written, however long the broker is away."""

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.exceptions import ProducerSendError

from app.topics import TopicSpec

if TYPE_CHECKING:
    import faust

__all__ = ["Delivery", "KafkaDelivery", "Position"]

_log = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0


class Position(NamedTuple):
    """Where a message landed."""

    partition: int
    offset: int


class Delivery(Protocol):
    """Somewhere that messages can be delivered to."""

    async def send(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> Position:
        """Deliver a message, to the partition of its key unless one is given; returns once it is there."""
        ...


class KafkaDelivery:
    """Delivers through Faust's producer, and tries again for as long as the broker is away."""

    def __init__(self, app: "faust.App") -> None:
        self._app = app

    async def send(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> Position:
        """Deliver a message, to the partition of its key unless one is given; returns once it is there."""
        wait = _FIRST_WAIT
        while True:
            try:
                # Not through Faust's topic: that one writes values into the log when it fails.
                producer = await self._app.maybe_start_producer()
                done = await producer.send_and_wait(topic.name, key, value, partition, None, None)
                return Position(done.partition, done.offset)
            except (KafkaError, ProducerSendError) as error:
                if not _passing(error):
                    raise
                _log.warning("cannot write to %s: %s; trying again in %.1f s", topic.name, error, wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)


def _passing(error: Exception) -> bool:
    """Tell whether an error may go away by itself."""
    cause = error.__cause__ if isinstance(error, ProducerSendError) else error
    # The producer gives up on a broker that is away for long with an error that it calls final.
    return isinstance(cause, KafkaTimeoutError) or bool(getattr(cause, "retriable", False))
