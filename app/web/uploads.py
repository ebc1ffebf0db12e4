"""How much of what is uploaded is taken in at once, by all requests together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from app.settings import Settings
from app.web.errors import api_error, busy_error

__all__ = ["Uploads"]

#: Seconds that a request waits for its turn.
_PATIENCE = 10.0


class Uploads:
    """Lets so many requests send so many bytes at once; the others wait, one behind the other."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.max_uploads
        self._room = settings.upload_bytes
        self._queue = asyncio.Lock()
        self._left = asyncio.Event()
        #: Requests that were admitted, and bytes that they may hold together.
        self.admitted = self.held = 0

    @asynccontextmanager
    async def admit(self, request: web.Request) -> AsyncIterator[int]:
        """Yield how many bytes a request may hold for as long as this lasts.

        Raises:
            HTTPException: they are more than all may hold together, or there is no room in time.
        """
        size = self._size(request)
        await self._wait_for_room(size)
        try:
            yield size
        finally:
            self.admitted -= 1
            self.held -= size
            self._left.set()

    def _size(self, request: web.Request) -> int:
        """Return how many bytes to keep for a request: all, where it does not say what it will take."""
        size = request.content_length
        if size is None or "Content-Encoding" in request.headers:
            return self._room
        if size > self._room:
            limit = self._room / 2**20
            raise api_error(413, "too-large", f"at most {limit:.3g} MiB of photographs can be sent at once")
        return size

    async def _wait_for_room(self, size: int) -> None:
        try:
            # One behind the other: what is large would wait for ever while what is small goes past it.
            async with asyncio.timeout(_PATIENCE), self._queue:
                while self.admitted >= self._most or self.held + size > self._room:
                    self._left.clear()
                    await self._left.wait()
                self.admitted += 1
                self.held += size
        except TimeoutError:
            raise busy_error("busy", "others are sending photographs now; try again soon") from None
