"""The streams: how each one is doing, as the workers that have them say."""

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from aiokafka import ConsumerRecord

from app.messages import MessageError, StreamStatus, decode

__all__ = ["Streams", "is_live"]

#: A stream is silent when nothing of it was recognised for this long, milliseconds.
_SILENT_AFTER = 5_000


class Streams:
    """The latest status of every stream.

    Arguments:
        keep: milliseconds after which a stream that nothing comes from is forgotten.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._statuses: dict[str, StreamStatus] = {}

    @property
    def statuses(self) -> Mapping[str, StreamStatus]:
        """The statuses by stream; not to be changed."""
        oldest = time.time() * 1000 - self._keep
        for name in [name for name, status in self._statuses.items() if status.updated < oldest]:
            del self._statuses[name]
        return MappingProxyType(self._statuses)

    async def add(self, records: Sequence[ConsumerRecord]) -> None:
        """Take in records of the topic; unreadable ones are passed over."""
        for record in records:
            try:
                status = decode(StreamStatus, record.value)
            except MessageError:
                continue
            self._statuses[status.stream] = status


def is_live(status: StreamStatus) -> bool:
    """Tell whether frames of the stream were recognised a moment ago."""
    return status.faces_offset is not None and time.time() * 1000 - status.updated < _SILENT_AFTER
