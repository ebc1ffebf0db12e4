"""When somebody was where: the history as bars, for the view of a day."""

import time
from typing import Any

from aiohttp import web

from app.history import Bar, History, Query, Streams
from app.tables import Gallery
from app.web.errors import api_error
from app.web.parameters import check_names, read_number, read_times
from app.web.sightings import available

__all__ = ["TimelineViews"]

_DAY = 24 * 3600 * 1000
#: Bars of one answer: more than anything can draw. Who has more wants less time, or a larger `join`, rather
#: than a second page.
_MOST = 10_000
#: Seconds without anybody that make two bars of one.
_JOIN = 60
_LONGEST_JOIN = 24 * 3600


class TimelineViews:
    """`/people/{id}/timeline` and `/streams/{name}/timeline`."""

    def __init__(self, history: History, gallery: Gallery, streams: Streams) -> None:
        self._history = history
        self._gallery = gallery
        self._streams = streams

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/people/{id}/timeline", self.of_person),
            web.get("/streams/{name}/timeline", self.of_stream),
        ]

    async def of_person(self, request: web.Request) -> web.Response:
        """Say on which streams a person was, and when."""
        since, until, join = _parameters(request)
        person, complete = request.match_info["id"], self._history.complete
        with available():
            name = await self._name(person, complete)
            bars = await self._history.timeline(Query(person=person, since=since, until=until), join * 1000)
        listed = [{"stream": bar.stream, **_to_json(bar)} for bar in _all(bars)]
        answer = {"person": person, "name": name, "from": since, "to": until, "join": join, "bars": listed}
        return web.json_response({**answer, "complete": complete})

    async def of_stream(self, request: web.Request) -> web.Response:
        """Say who was on a stream, and when."""
        since, until, join = _parameters(request)
        stream, complete = request.match_info["name"], self._history.complete
        with available():
            await self._check_stream(stream, complete)
            bars = await self._history.timeline(Query(stream=stream, since=since, until=until), join * 1000)
        listed = [{"person": bar.person, "name": bar.name, **_to_json(bar)} for bar in _all(bars)]
        answer = {"stream": stream, "from": since, "to": until, "join": join, "bars": listed}
        return web.json_response({**answer, "complete": complete})

    async def _name(self, person: str, complete: bool) -> str | None:
        """Return a person's name; that of somebody who was removed is the one they were last seen by."""
        if enrolled := self._gallery.people.get(person):
            return enrolled.name
        latest = (await self._history.find(Query(person=person), limit=1)).sightings
        if not latest and person not in self._gallery.unreadable:
            detail = f"nobody with the id {person[:80]!r} is enrolled, or was seen"
            raise api_error(404, "no-such-person", detail, complete=complete)
        return latest[0].name if latest else None

    async def _check_stream(self, stream: str, complete: bool) -> None:
        """Refuse a stream from which nothing is known to have come, nor anybody to have been seen on it."""
        if stream in self._streams.statuses:
            return
        if not (await self._history.find(Query(stream=stream), limit=1)).sightings:
            raise api_error(404, "no-such-stream", f"there is no stream {stream[:80]!r}", complete=complete)


def _parameters(request: web.Request) -> tuple[int, int, int]:
    """Return from when to when, by default the last 24 hours, and what is joined."""
    check_names(request, ("from", "to", "join"))
    since, until = read_times(request.query)
    if until is None:
        until = max(int(time.time() * 1000), since or 0)
    if since is None:
        since = until - _DAY
    return since, until, read_number(request.query, "join", _JOIN, 0, _LONGEST_JOIN)


def _all(bars: list[Bar]) -> list[Bar]:
    if len(bars) > _MOST:
        detail = f"that is {len(bars)} bars, of {_MOST} at most: ask for less time, or a larger 'join'"
        raise api_error(400, "too-many-bars", detail)
    return bars


def _to_json(bar: Bar) -> dict[str, Any]:
    return {"first": bar.first, "last": bar.last, "sightings": bar.sightings, "open": bar.open}
