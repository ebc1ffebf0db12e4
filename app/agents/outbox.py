"""What agents write: delivered before it counts as written, dead letters included."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.exceptions import ProducerSendError

from app.messages import DeadLetter, MessageError, encode
from app.metrics import Metrics
from app.topics import Topics, TopicSpec

if TYPE_CHECKING:
    import faust

__all__ = ["KafkaOutbox", "Letter", "Letters", "Outbox", "Place", "letter"]

_log = logging.getLogger(__name__)

#: A message that is larger than this is left where it is, and only its place is written down.
_SMALL = 64 * 1024
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0


class Place(NamedTuple):
    """Where a message landed."""

    partition: int
    offset: int


class Letter(NamedTuple):
    """A message as the consumer hands it out."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Outbox(Protocol):
    """Somewhere that messages can be delivered to."""

    async def put(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> Place:
        """Deliver a message, to the partition of its key unless one is given; returns once it is there."""
        ...


class KafkaOutbox:
    """Delivers through Faust's producer, and tries again for as long as the broker is away."""

    def __init__(self, app: "faust.App") -> None:
        self._app = app

    async def put(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> Place:
        """Deliver a message, to the partition of its key unless one is given; returns once it is there."""
        wait = _FIRST_WAIT
        while True:
            try:
                # Not through Faust's topic: that one writes values into the log when it fails.
                producer = await self._app.maybe_start_producer()
                done = await producer.send_and_wait(topic.name, key, value, partition, None, None)
                return Place(done.partition, done.offset)
            except (KafkaError, ProducerSendError) as error:
                if not _passing(error):
                    raise
                _log.warning("cannot write to %s: %s; trying again in %.1f s", topic.name, error, wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)


class Letters:
    """The dead letters: messages that cannot be handled, with the reason."""

    def __init__(self, outbox: Outbox, topics: Topics, metrics: Metrics) -> None:
        self._outbox = outbox
        self._topic = topics.dead_letters
        self._frames = topics.frames.name
        self._metrics = metrics

    async def bury(self, letter: Letter, reason: str, detail: str) -> None:
        """Write a message to the dead letters; a frame or a large one stays where it is, referred to."""
        small = letter.value is not None and len(letter.value) <= _SMALL
        travels = small and letter.topic != self._frames
        dead = DeadLetter(
            topic=letter.topic,
            partition=letter.partition,
            offset=letter.offset,
            key=letter.key[:256] if letter.key else None,
            reason=reason,
            detail=detail,
            at=int(time.time() * 1000),
            value=letter.value if travels else None,
        )
        self._metrics.dead_letters.labels(letter.topic, reason).inc()
        _log.warning("%s %d:%d is a dead letter: %s", letter.topic, letter.partition, letter.offset, detail)
        await self._outbox.put(self._topic, dead.key, encode(dead))

    async def bury_failed(self, letter: Letter, error: Exception) -> None:
        """Write a message down that could not be handled; what nobody foresaw is logged as well."""
        if isinstance(error, MessageError):
            await self.bury(letter, error.reason, str(error))
            return
        _log.error(
            "%s %d:%d could not be handled", letter.topic, letter.partition, letter.offset, exc_info=error
        )
        await self.bury(letter, "internal-error", type(error).__name__)


def letter(event: "faust.EventT[bytes]") -> Letter:
    """Return the message of an event."""
    message = event.message
    return Letter(message.topic, message.partition, message.offset, message.key, message.value)


def _passing(error: Exception) -> bool:
    """Tell whether an error may go away by itself."""
    cause = error.__cause__ if isinstance(error, ProducerSendError) else error
    # The producer gives up on a broker that is away for long with an error that it calls final.
    return isinstance(cause, KafkaTimeoutError) or bool(getattr(cause, "retriable", False))
