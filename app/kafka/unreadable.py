"""What readers beside the agents cannot read: counted, and said once."""

import logging

from app.messages import MessageError
from app.metrics import Metrics

__all__ = ["Unreadable"]

_log = logging.getLogger(__name__)


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
