"""How long a worker that is told to end waits for Kafka: one deadline, which everything that waits shares."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

__all__ = ["SHUTDOWN", "ShutdownDeadline"]

_log = logging.getLogger(__name__)

#: Seconds that a worker which is told to end waits for Kafka, all in all.
SHUTDOWN = 10.0
#: Seconds that it waits for one answer, also while it goes on.
_ANSWER = 5.0
#: Seconds after which what goes on all the same is cancelled again.
_CANCEL_AGAIN = 0.1


class ShutdownDeadline:
    """When a worker that was told to end waits for Kafka no longer; read by several threads."""

    def __init__(self, seconds: float = SHUTDOWN) -> None:
        self._seconds = seconds
        self._end: float | None = None

    def begin(self) -> None:
        """Let the time run, if it does not yet."""
        if self._end is None:
            self._end = time.monotonic() + self._seconds

    def left(self, most: float) -> float:
        """Return how many seconds something may take that may take `most` where no end is near."""
        return most if self._end is None else min(most, max(0.0, self._end - time.monotonic()))

    async def wait_for(self, work: Coroutine[Any, Any, object]) -> None:
        """Do what needs Kafka, for which aiokafka would wait without limit; without an answer, go on."""
        task = asyncio.create_task(work)
        try:
            await asyncio.wait([task], timeout=self.left(_ANSWER))
        finally:
            answered = task.done()
            await _cancel(task)
        if answered:
            await task
        else:
            _log.warning("Kafka does not answer: going on without it")


async def _cancel(task: asyncio.Task[object]) -> None:
    """Cancel a task until it has ended: Faust's services take a cancellation for their own, and go on."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_AGAIN)
    if not task.cancelled():
        # Nobody else looks at what it failed with.
        task.exception()
