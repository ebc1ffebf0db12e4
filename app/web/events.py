"""News of sightings as they happen: server-sent events."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web

from app.history.index import Entry, History, HistoryUnavailableError
from app.web.errors import api_error
from app.web.positions import parse_positions, write_positions
from app.web.sightings import available, sighting_to_json
from app.web.streaming import streaming

__all__ = ["EventViews"]

_HEARTBEAT = 15.0
#: News that a reader is behind with; more, and it is cut off and comes back with its last event's id.
_BACKLOG = 1000


class EventViews:
    """`/events`."""

    def __init__(self, history: History) -> None:
        self._history = history

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/events", self.events)]

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send sightings as they happen, from where the reader left off."""
        last = request.headers.get("Last-Event-ID") or request.query.get("last-event-id")
        try:
            since = parse_positions(last) if last else None
        except ValueError:
            raise api_error(400, "bad-event-id", "Last-Event-ID is not one of ours") from None
        news: asyncio.Queue[Sequence[Entry]] = asyncio.Queue(_BACKLOG)
        unlisten = self._history.listen(_offer(news))
        try:
            with available():
                # An empty id would be none: who comes back with it would miss what happened in between.
                positions = dict(await self._history.positions()) or {0: 0}
            return await self._answer(request, since, positions, news)
        finally:
            unlisten()

    async def _answer(
        self,
        request: web.Request,
        since: Mapping[int, int] | None,
        positions: dict[int, int],
        news: "asyncio.Queue[Sequence[Entry]]",
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        streaming(request)
        await response.prepare(request)
        # A reader that is let go of comes back, and is told then what is the matter.
        with suppress(ConnectionError, HistoryUnavailableError):
            await self._send(response, since, positions, news)
        return response

    async def _send(
        self,
        response: web.StreamResponse,
        since: Mapping[int, int] | None,
        positions: dict[int, int],
        news: "asyncio.Queue[Sequence[Entry]]",
    ) -> None:
        if since is not None:
            # A partition that the reader has not heard of is read from its start.
            # Nor is one that has been made anew waited for until it is as long as the old one was.
            positions = {place: min(since.get(place, 0), end) for place, end in positions.items()}
            while page := await self._history.since(positions):
                await self._write(response, page, positions)
        await response.write(f"id: {write_positions(positions)}\nretry: 1000\n: hello\n\n".encode())
        while not news.full():
            try:
                async with asyncio.timeout(_HEARTBEAT):
                    entries = await news.get()
            except TimeoutError:
                await response.write(b": still here\n\n")
            else:
                await self._write(response, entries, positions)

    async def _write(
        self, response: web.StreamResponse, entries: Sequence[Entry], positions: dict[int, int]
    ) -> None:
        for entry in entries:
            if entry.offset < positions.get(entry.partition, 0):
                continue
            positions[entry.partition] = entry.offset + 1
            data = json.dumps(sighting_to_json(entry.sighting))
            text = f"id: {write_positions(positions)}\nevent: sighting\ndata: {data}\n\n"
            await response.write(text.encode())


def _offer(news: "asyncio.Queue[Sequence[Entry]]") -> Any:
    def offer(entries: Sequence[Entry]) -> None:
        with suppress(asyncio.QueueFull):
            news.put_nowait(entries)

    return offer
