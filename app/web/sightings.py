"""Who was seen: the history, and news of it as it happens."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from app.history.index import Entry, History, HistoryUnavailableError, Query
from app.messages import MessageError, Sighting, stream_name
from app.web.endless import endless
from app.web.errors import api_error
from app.web.positions import parse_positions, write_positions

__all__ = ["SightingViews"]

_HEARTBEAT = 15.0
_MOST = 1000
#: News that a reader is behind with; more, and it is cut off and comes back with its last event's id.
_BACKLOG = 1000


class SightingViews:
    """`/sightings` and `/events`."""

    def __init__(self, history: History) -> None:
        self._history = history

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/sightings", self.list),
            web.get("/sightings/{id}.jpg", self.crop),
            web.get("/events", self.events),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """List sightings, newest first, and say whether these are all."""
        query = _query(request.query)
        with _available():
            found = await self._history.find(query)
        listed = [to_json(sighting) for sighting in found]
        return web.json_response({"sightings": listed, "complete": self._history.complete})

    async def crop(self, request: web.Request) -> web.Response:
        """Return the best aligned face of a sighting."""
        with _available():
            sighting = await self._history.get(request.match_info["id"])
        if sighting is None or not sighting.crop:
            raise api_error(404, "no-such-sighting", "there is no such sighting, or no picture of it")
        return web.Response(body=sighting.crop, content_type="image/jpeg")

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
            with _available():
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
        endless(request)
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
            data = json.dumps(to_json(entry.sighting))
            text = f"id: {write_positions(positions)}\nevent: sighting\ndata: {data}\n\n"
            await response.write(text.encode())


@contextmanager
def _available() -> Iterator[None]:
    """Answer 503 where the history cannot be asked."""
    try:
        yield
    except HistoryUnavailableError as error:
        raise api_error(503, "history-unavailable", str(error)) from None


def to_json(sighting: Sighting) -> dict[str, Any]:
    """Return a sighting for JSON."""
    return {
        "id": sighting.id,
        "stream": sighting.stream,
        "person": sighting.person,
        "name": sighting.name,
        "first": sighting.first,
        "last": sighting.last,
        "frames": sighting.frames,
        "score": None if sighting.score is None else round(sighting.score, 2),
        "open": sighting.open,
        "crop": f"/sightings/{sighting.id}.jpg" if sighting.crop else None,
    }


def _offer(news: "asyncio.Queue[Sequence[Entry]]") -> Any:
    def offer(entries: Sequence[Entry]) -> None:
        with suppress(asyncio.QueueFull):
            news.put_nowait(entries)

    return offer


def _query(given: Mapping[str, str]) -> Query:
    unknown = set(given) - {"person", "stream", "from", "to", "limit"}
    if unknown:
        raise api_error(400, "bad-request", f"there is no parameter {min(unknown)[:80]!r}")
    stream = given.get("stream") or None
    try:
        stream = stream and stream_name(stream)
    except MessageError as error:
        raise api_error(400, error.reason, str(error)) from None
    return Query(
        person=given.get("person") or None,
        stream=stream,
        since=_time(given.get("from")),
        until=_time(given.get("to")),
        limit=_limit(given.get("limit")),
    )


def _time(text: str | None) -> int | None:
    """Read milliseconds since the epoch, or ISO 8601 (UTC unless it says otherwise)."""
    if not text:
        return None
    if text.isdecimal() and len(text) <= 15:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise api_error(400, "bad-time", f"{text[:80]!r} is neither milliseconds nor ISO 8601") from None


def _limit(text: str | None) -> int:
    if not text:
        return 100
    if not text.isdecimal() or len(text) > 6 or not 1 <= int(text) <= _MOST:
        raise api_error(400, "bad-limit", f"'limit' is a number from 1 to {_MOST}")
    return int(text)
