"""Any number of streams over one WebSocket: a page with many would run out of connections."""

import asyncio
import json
import logging
from collections.abc import Awaitable
from contextlib import suppress

import msgspec
from aiohttp import WSMsgType, web

from app.history import Streams
from app.web.live.hub import Hub
from app.web.live.render import View
from app.web.streaming import streaming, write_timeout

__all__ = ["LiveSocket"]

_log = logging.getLogger(__name__)

_MOST_STREAMS = 64
_HEARTBEAT = 10.0
_LONGEST_WISH = 16 * 1024


class _Wish(msgspec.Struct):
    """What the page sends: the streams that it shows now."""

    watch: list[str]


class LiveSocket:
    """`/live`."""

    def __init__(self, streams: Streams, hub: Hub) -> None:
        self._streams = streams
        self._hub = hub

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/live", self.live, allow_head=False)]

    async def live(self, request: web.Request) -> web.WebSocketResponse:
        """Send views of the streams that the page asks for, whenever it asks anew."""
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, max_msg_size=_LONGEST_WISH)
        with streaming(request):
            await socket.prepare(request)
            session = _Session(request, socket, self._hub)
            try:
                async for message in socket:
                    if message.type is WSMsgType.TEXT:
                        await self._wish(session, message.data)
            finally:
                await session.close()
        return socket

    async def _wish(self, session: "_Session", text: str) -> None:
        try:
            wish = msgspec.json.decode(text, type=_Wish)
        except (msgspec.MsgspecError, RecursionError):
            await session.complain("bad-request")
            return
        if len(wish.watch) > _MOST_STREAMS:
            await session.complain("too-many-streams")
            return
        unknown = [name for name in wish.watch if name not in self._streams.statuses]
        if unknown:
            await session.complain("no-such-stream")
        session.watch(set(wish.watch) - set(unknown))


class _Session:
    """One page: a task for each stream it watches, and one that sends what is newest of each."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, hub: Hub) -> None:
        self._request = request
        self._socket = socket
        self._hub = hub
        self._newest: dict[str, View] = {}
        self._news = asyncio.Event()
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._sender = asyncio.create_task(self._or_close(self._send()))

    def watch(self, streams: set[str]) -> None:
        """Watch these streams and no others."""
        for name in set(self._watching) - streams:
            self._watching.pop(name).cancel()
            self._newest.pop(name, None)
        for name in streams - set(self._watching):
            self._watching[name] = asyncio.create_task(self._or_close(self._follow(name)))

    async def complain(self, reason: str) -> None:
        """Tell the page that a wish cannot be granted."""
        with suppress(ConnectionError):
            async with write_timeout(self._request):
                await self._socket.send_json({"error": reason})

    async def close(self) -> None:
        """Stop watching."""
        tasks = [self._sender, *self._watching.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _or_close(self, work: Awaitable[None]) -> None:
        """Close the socket where work on it ends by itself: the page connects anew, and asks again."""
        try:
            await work
        except ConnectionError as error:
            _log.debug("a page is let go of: %s", error)
        except Exception:
            _log.exception("a page can be sent no more pictures")
        with suppress(ConnectionError):
            async with write_timeout(self._request):
                await self._socket.close()

    async def _follow(self, stream: str) -> None:
        async with self._hub.watch(stream) as viewer:
            while True:
                self._newest[stream] = await viewer.next()
                self._news.set()

    async def _send(self) -> None:
        """Send the newest view of each stream in turn; a slow page gets fewer, never old ones."""
        while not self._socket.closed:
            await self._news.wait()
            self._news.clear()
            for stream in list(self._newest):
                if (view := self._newest.pop(stream, None)) is not None:
                    async with write_timeout(self._request):
                        await self._socket.send_bytes(_packed(view))


def _packed(view: View) -> bytes:
    header = json.dumps(view.header()).encode()
    return len(header).to_bytes(2, "big") + header + view.jpeg
