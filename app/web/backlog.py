"""The newest events, kept for all who listen together."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from app.history import Entry, History
from app.web.sightings import sighting_to_json

__all__ = ["Backlog", "Event", "event_of"]

#: Events that are kept; who is further behind reads them from the history.
_MOST = 1000


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
