"""The one-slot buffer between the thread that reads a source and the loop that writes to Kafka."""

import asyncio
import threading
from contextlib import suppress
from typing import Generic, TypeVar

__all__ = ["LatestSlot"]

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """Holds one item: `put` from a thread, `get` from the event loop.

    With `replace` a new item takes the place of one not yet taken, which counts as `replaced`;
    without it `put` waits, so that nothing is lost.
    """

    def __init__(self, *, replace: bool) -> None:
        self.replaced = 0
        self._replace = replace
        self._loop = asyncio.get_running_loop()
        self._filled = asyncio.Event()
        self._change = threading.Condition()
        self._items: list[T] = []
        self._closed = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Hand `item` over; return False if nobody wants items any more."""
        with self._change:
            if self._replace and self._items:
                self._items.clear()
                self.replaced += 1
            self._change.wait_for(lambda: self._closed or not self._items)
            if self._closed:
                return False
            self._items.append(item)
        self._wake()
        return True

    def close(self, error: BaseException | None = None) -> None:
        """Say that nothing more comes, because of `error` if there is one."""
        with self._change:
            self._closed = True
            self._error = self._error or error
            self._change.notify_all()
        self._wake()

    async def get(self) -> T | None:
        """Wait for an item and take it; None when there will be none.

        Raises:
            BaseException: the one given to `close`, once the last item is taken.
        """
        while True:
            await self._filled.wait()
            with self._change:
                self._filled.clear()
                if self._items:
                    item = self._items.pop()
                    self._change.notify_all()
                    if self._closed:
                        self._filled.set()
                    return item
                if self._closed:
                    self._filled.set()
                    if self._error:
                        raise self._error
                    return None

    def _wake(self) -> None:
        # A loop that has ended has nobody left to wake.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._filled.set)
