"""News of sightings as they happen: server-sent events."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from aiohttp import web

from app.history import Entry, History, HistoryUnavailableError
from app.web.errors import api_error
from app.web.sightings import available, sighting_to_json
from app.web.streaming import StreamingResponse, streaming

__all__ = ["Backlog", "Event", "EventViews", "event_of", "parse_positions", "write_positions"]

#: Events that are kept; who is further behind reads them from the history.
_MOST = 1000


_HEARTBEAT = 15.0
#: Sightings that are read from the history at once for a reader that is behind.
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Event:
    """A sighting that changed, as JSON without its picture, and its place on the log."""

    partition: int
    offset: int
    data: str


def event_of(entry: Entry) -> Event:
    """Return the event that tells of a sighting."""
    return Event(entry.partition, entry.offset, json.dumps(sighting_to_json(entry.sighting)))


class Backlog:
    """Numbers events as they happen, and keeps so many of the newest for as long as anybody listens.

    It takes the same memory for one listener as for a hundred, however slow they are: a listener has
    nothing but the number of its next event.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._listeners = 0
        self._unlisten: Callable[[], None] = lambda: None
        self._events: dict[int, Event] = {}
        self._changed = asyncio.Event()
        #: Number of the event that happens next.
        self.end = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep events for as long as this lasts."""
        if not self._listeners:
            self._unlisten = self._history.listen(self._add)
        self._listeners += 1
        try:
            yield
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._unlisten()
                self._events.clear()

    def get(self, number: int) -> Event | None:
        """Return an event; None where it is kept no longer."""
        return self._events.get(number)

    async def wait_for(self, number: int) -> None:
        """Wait until an event has happened."""
        while self.end <= number:
            await self._changed.wait()

    def _add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._events[self.end] = event_of(entry)
            self._events.pop(self.end - _MOST, None)
            self.end += 1
        self._changed.set()
        self._changed = asyncio.Event()


class EventViews:
    """`/events`."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._backlog = Backlog(history)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        # Nothing can be written to a HEAD, so that nobody would notice when its sender goes away.
        return [web.get("/events", self.events, allow_head=False)]

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send sightings as they happen, from where the reader left off."""
        last = request.headers.get("Last-Event-ID") or request.query.get("last-event-id")
        try:
            since = parse_positions(last) if last else None
        except ValueError:
            raise api_error(400, "bad-event-id", "Last-Event-ID is not one of ours") from None
        response = StreamingResponse(
            request, {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        with streaming(request), self._backlog.listening():
            number = self._backlog.end
            with available():
                # An empty id would be none: who comes back with it would miss what happened in between.
                ends = await self._history.positions() or {0: 0}
            await response.prepare(request)
            # A reader that is let go of comes back, and is told then what is the matter.
            with suppress(ConnectionError, HistoryUnavailableError):
                await _Reader(self._history, self._backlog, response, ends).send(since, number)
        return response


class _Reader:
    """Somebody who reads events, and up to where they have been sent them: next offset by partition."""

    def __init__(
        self, history: History, backlog: Backlog, response: web.StreamResponse, ends: Mapping[int, int]
    ) -> None:
        self._history = history
        self._backlog = backlog
        self._response = response
        self._positions = dict(ends)

    async def send(self, since: Mapping[int, int] | None, number: int) -> None:
        """Send what has changed since these positions, and from then on what happens.

        Args:
            number: the first event of the backlog that `ends` may not stand for.
        """
        if since is not None:
            # A partition that the reader has not heard of is read from its start.
            # Nor is one that has been made anew waited for until it is as long as the old one was.
            self._positions = {place: min(since.get(place, 0), end) for place, end in self._positions.items()}
            await self._catch_up()
        hello = f"id: {write_positions(self._positions)}\nretry: 1000\n: hello\n\n"
        await self._response.write(hello.encode())
        while True:
            number = await self._send_from(number)

    async def _send_from(self, number: int) -> int:
        """Send one event of the backlog, or what was missed where it is gone; return which is next."""
        try:
            async with asyncio.timeout(_HEARTBEAT):
                await self._backlog.wait_for(number)
        except TimeoutError:
            await self._response.write(b": still here\n\n")
            return number
        if (event := self._backlog.get(number)) is not None:
            await self._write(event)
            return number + 1
        # What happens while the history is read is in the backlog.
        number = self._backlog.end
        for place in await self._history.positions():
            self._positions.setdefault(place, 0)
        await self._catch_up()
        return number

    async def _catch_up(self) -> None:
        """Send what the history has changed since."""
        while page := await self._page():
            for event in page:
                await self._write(event)

    async def _page(self) -> list[Event]:
        # Without the pictures, which would stay in memory for as long as the reader takes for the page.
        return [event_of(entry) for entry in await self._history.since(self._positions, _PAGE)]

    async def _write(self, event: Event) -> None:
        if event.offset < self._positions.get(event.partition, 0):
            return
        self._positions[event.partition] = event.offset + 1
        text = f"id: {write_positions(self._positions)}\nevent: sighting\ndata: {event.data}\n\n"
        await self._response.write(text.encode())


def write_positions(positions: Mapping[int, int]) -> str:
    """Return next offsets by partition as an event's id, such as ``0-17.3-4``.

    It is the same on every worker, so that any of them can go on.
    """
    return ".".join(f"{partition}-{offset}" for partition, offset in sorted(positions.items()))


def parse_positions(text: str) -> dict[int, int]:
    """Read what `write_positions` wrote.

    Raises:
        ValueError: it did not write that.
    """
    positions: dict[int, int] = {}
    for part in text[:65536].split("."):
        partition, _, offset = part.partition("-")
        if not (partition.isdecimal() and offset.isdecimal() and len(partition) < 6 and len(offset) < 19):
            raise ValueError(text)
        positions[int(partition)] = int(offset)
    return positions
