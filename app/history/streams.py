"""The streams: how each one is doing, as the workers that have them say."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Literal

from aiokafka import ConsumerRecord

from app.messages import MessageError, StreamStatus, decode

__all__ = ["State", "Streams", "heard_last", "is_live", "state_of"]

#: `live`: recognised a moment ago; `overloaded`: more is skipped than recognised; `waiting`: frames wait for
#: a worker that has recognised none for a while; `silent`: nothing comes.
State = Literal["live", "overloaded", "waiting", "silent"]

#: Seconds that a worker waits for the statuses that are on the log.
_PATIENCE = 5.0

#: What is older was not a moment ago, milliseconds.
_MOMENT = 5_000
#: Frames do not go away because their worker says no more; after this long, the log may have let go of them.
_WAIT_ENDS = 24 * 3600 * 1000


class Streams:
    """The latest status of every stream.

    Args:
        keep: milliseconds after which a stream that nothing comes from is forgotten.
        unreadable: is told of what is passed over.
    """

    def __init__(self, keep: int, unreadable: Callable[[MessageError], None] = lambda _: None) -> None:
        self._keep = keep
        self._unreadable = unreadable
        self._statuses: dict[str, StreamStatus] = {}
        #: Set when everything that was on the log at the start has been taken in.
        self.known = asyncio.Event()

    async def until_known(self) -> None:
        """Wait until the log has been read, but not for long: it matters to the counts alone."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.known.wait(), _PATIENCE)

    def get(self, name: str) -> StreamStatus | None:
        """Return the status of a stream; None where nothing is known of it."""
        return self.statuses.get(name)

    @property
    def statuses(self) -> Mapping[str, StreamStatus]:
        """The statuses by stream; not to be changed."""
        oldest = time.time() * 1000 - self._keep
        for name in [name for name, status in self._statuses.items() if heard_last(status) < oldest]:
            del self._statuses[name]
        return MappingProxyType(self._statuses)

    async def add(self, records: Sequence[ConsumerRecord]) -> None:
        """Take in records of the topic; unreadable ones are passed over."""
        for record in records:
            try:
                status = decode(StreamStatus, record.value)
            except MessageError as error:
                self._unreadable(error)
                continue
            self._statuses[status.stream] = status


def state_of(status: StreamStatus) -> State:
    """Tell how a stream is doing now."""
    recognised = is_live(status)
    if _recent(status.arrived) and status.skipping > (status.fps if recognised else 0):
        return "overloaded"
    if recognised:
        return "live"
    waits = status.waiting > 0 and time.time() * 1000 - heard_last(status) < _WAIT_ENDS
    return "waiting" if waits else "silent"


def is_live(status: StreamStatus) -> bool:
    """Tell whether frames of the stream were recognised a moment ago."""
    return status.faces_offset is not None and _recent(status.updated)


def heard_last(status: StreamStatus) -> int:
    """Return when a frame came last, or was recognised; milliseconds since the epoch."""
    return max(status.updated, status.arrived)


def _recent(moment: int) -> bool:
    return time.time() * 1000 - moment < _MOMENT
