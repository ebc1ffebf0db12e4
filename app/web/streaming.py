"""Streaming responses: they end when their viewer goes away or reads nothing, or when the worker stops."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

from app.web.errors import busy_error

__all__ = ["StreamingResponse", "add_streaming", "streaming", "write_timeout"]

#: Seconds that a viewer may take to accept what it is sent: one picture, one event.
_SLOWEST = 30.0


class _Streaming:
    """The streaming responses of a server that are open."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()

    @contextmanager
    def open(self, request: web.Request) -> Iterator[None]:
        """Count a response for as long as this lasts, or refuse it."""
        task = request.task
        if len(self._tasks) >= self._most:
            raise busy_error("too-many-viewers", f"{self._most} viewers are served already")
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)
            _hang_up(request)

    async def end_all(self, _: web.Application) -> None:
        """End them all."""
        for task in tuple(self._tasks):
            task.cancel()


_STREAMING = web.AppKey("streaming", _Streaming)


def add_streaming(server: web.Application, most: int) -> None:
    """Let a server have `most` streaming responses open at once, and end them when it stops."""
    server[_STREAMING] = streams = _Streaming(most)
    # It would wait a minute for them.
    server.on_shutdown.append(streams.end_all)


@contextmanager
def streaming(request: web.Request) -> Iterator[None]:
    """Answer a request with a streaming response, for as long as this lasts.

    Raises:
        HTTPException: as many are open as are allowed.
    """
    with request.app[_STREAMING].open(request):
        yield


@asynccontextmanager
async def write_timeout(request: web.Request) -> AsyncIterator[None]:
    """Cut off a viewer that does not accept in time what is written to it here.

    Raises:
        ConnectionResetError: it was cut off.
    """
    try:
        async with asyncio.timeout(_SLOWEST):
            yield
    except TimeoutError:
        # To end the answer in good order would mean to wait for the same viewer again.
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError(f"the viewer accepted nothing for {_SLOWEST:g} s") from None


class StreamingResponse(web.StreamResponse):
    """A response whose viewer is cut off where it does not accept what is written in time."""

    def __init__(self, request: web.Request, headers: Mapping[str, str]) -> None:
        super().__init__(headers=headers)
        self._to = request

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write a piece; raise ConnectionError where the viewer has gone, or is cut off."""
        async with write_timeout(self._to):
            await super().write(data)

    async def write_eof(self, data: bytes = b"") -> None:
        """End the response."""
        async with write_timeout(self._to):
            await super().write_eof(data)


def _hang_up(request: web.Request) -> None:
    """Cut off a connection that is being closed while its viewer has not accepted everything yet."""
    if request.transport is not None and request.transport.is_closing():
        request.transport.abort()
