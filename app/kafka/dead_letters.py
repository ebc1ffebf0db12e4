"""What cannot be handled, or read: dead letters with the reason, and counts where every worker reads."""

import logging
import time

from app.kafka.delivery import Delivery
from app.kafka.ledger import Received
from app.messages import DeadLetter, MessageError, encode
from app.metrics import Metrics
from app.topics import Topics

__all__ = ["DeadLetters", "Unreadable"]

_log = logging.getLogger(__name__)

#: A message that is larger than this is left where it is, and only its place is written down.
_SMALL = 64 * 1024


class DeadLetters:
    """Writes dead letters; a message counts as handled once its letter is delivered."""

    def __init__(self, delivery: Delivery, topics: Topics, metrics: Metrics) -> None:
        self._delivery = delivery
        self._topic = topics.dead_letters
        #: What is left where it is: pictures, and what people can be told by.
        self._heavy = {
            topic.name
            for topic in (
                topics.frames, topics.recordings, topics.faces, topics.enrolments, topics.checkpoints,
            )
        }  # fmt: skip
        self._metrics = metrics

    async def send(self, message: Received, reason: str, detail: str) -> None:
        """Write down a message that cannot be handled; what is heavy or private stays where it is."""
        small = message.value is not None and len(message.value) <= _SMALL
        travels = small and message.topic not in self._heavy
        dead = DeadLetter(
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key[:256] if message.key else None,
            reason=reason,
            detail=detail,
            at=int(time.time() * 1000),
            value=message.value if travels else None,
        )
        self._metrics.dead_letters.labels(message.topic, reason).inc()
        _log.warning(
            "%s %d:%d is a dead letter: %s", message.topic, message.partition, message.offset, detail
        )
        await self._delivery.send(self._topic, dead.key, encode(dead))

    async def send_failed(self, message: Received, error: Exception) -> None:
        """Write down a message whose handling failed; what nobody foresaw is logged as well."""
        if isinstance(error, MessageError):
            await self.send(message, error.reason, str(error))
            return
        _log.error(
            "%s %d:%d could not be handled", message.topic, message.partition, message.offset, exc_info=error
        )
        await self.send(message, "internal-error", type(error).__name__)


class Unreadable:
    """Takes note of records that a read model passes over.

    They are no dead letters of its own: every worker reads the topic, and would write one.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._counter = metrics.unreadable
        self._said: set[tuple[str, str]] = set()

    def note(self, topic: str, error: MessageError) -> None:
        """Count a record of `topic`; the first one for a reason is logged."""
        self._counter.labels(topic, error.reason).inc()
        if (topic, error.reason) not in self._said:
            self._said.add((topic, error.reason))
            _log.warning("some of %s cannot be read and is passed over, such as: %s", topic, error)
