"""The dead letters: messages that cannot be handled, with the reason."""

import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from app.kafka.delivery import Delivery
from app.messages import DeadLetter, MessageError, encode
from app.metrics import Metrics
from app.topics import Topics

if TYPE_CHECKING:
    import faust

__all__ = ["DeadLetters", "Received", "received"]

_log = logging.getLogger(__name__)

#: A message that is larger than this is left where it is, and only its place is written down.
_SMALL = 64 * 1024


class Received(NamedTuple):
    """A message as the consumer hands it out."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class DeadLetters:
    """The dead letters: messages that cannot be handled, with the reason."""

    def __init__(self, delivery: Delivery, topics: Topics, metrics: Metrics) -> None:
        self._delivery = delivery
        self._topic = topics.dead_letters
        self._pictures = (topics.frames.name, topics.recordings.name)
        self._metrics = metrics

    async def send(self, letter: Received, reason: str, detail: str) -> None:
        """Write a message to the dead letters; a frame or a large one stays where it is, referred to."""
        small = letter.value is not None and len(letter.value) <= _SMALL
        travels = small and letter.topic not in self._pictures
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
        await self._delivery.send(self._topic, dead.key, encode(dead))

    async def send_failed(self, letter: Received, error: Exception) -> None:
        """Write a message down that could not be handled; what nobody foresaw is logged as well."""
        if isinstance(error, MessageError):
            await self.send(letter, error.reason, str(error))
            return
        _log.error(
            "%s %d:%d could not be handled", letter.topic, letter.partition, letter.offset, exc_info=error
        )
        await self.send(letter, "internal-error", type(error).__name__)


def received(event: "faust.EventT[bytes]") -> Received:
    """Return the message of an event."""
    message = event.message
    return Received(message.topic, message.partition, message.offset, message.key, message.value)
