"""Who was seen: the history."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web

from app.history import History, HistoryUnavailableError, Query
from app.messages import Sighting, Unnamed
from app.web.errors import api_error
from app.web.parameters import (
    check_names,
    read_cursor,
    read_flag,
    read_number,
    read_stream,
    read_times,
    write_cursor,
)

__all__ = ["SightingViews", "available", "sighting_to_json"]

_MOST = 1000
#: Stands for somebody unknown where an id stands for a person.
_UNKNOWN = "unknown"
_PARAMETERS = ("person", "named", "stream", "from", "to", "limit", "cursor")


class SightingViews:
    """`/sightings`."""

    def __init__(self, history: History) -> None:
        self._history = history

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/sightings", self.list),
            web.get("/sightings/{id}.jpg", self.crop),
            web.get("/sightings/{id}", self.get),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """List sightings, newest first, and say where the list goes on and whether all of them are known."""
        check_names(request, _PARAMETERS)
        given = request.query
        query, limit, after = _query(given), read_number(given, "limit", 100, 1, _MOST), read_cursor(given)
        # What is taken in while the question is answered may be missing.
        complete = self._history.complete
        with available():
            page = await self._history.find(query, limit, after)
        listed = [sighting_to_json(sighting) for sighting in page.sightings]
        return web.json_response({"sightings": listed, "next": write_cursor(page.next), "complete": complete})

    async def get(self, request: web.Request) -> web.Response:
        """Return one sighting, also one that is part of another."""
        check_names(request, ())
        complete = self._history.complete
        with available():
            sighting = await self._history.get(request.match_info["id"])
        if sighting is None:
            raise _no_such_sighting("there is no such sighting", complete)
        return web.json_response({**sighting_to_json(sighting), "complete": complete})

    async def crop(self, request: web.Request) -> web.Response:
        """Return the best aligned face of a sighting."""
        complete = self._history.complete
        with available():
            sighting = await self._history.get(request.match_info["id"])
        if sighting is None or not sighting.crop:
            raise _no_such_sighting("there is no such sighting, or no picture of it", complete)
        return web.Response(body=sighting.crop, content_type="image/jpeg")


@contextmanager
def available() -> Iterator[None]:
    """Answer 503 where the history cannot be asked."""
    try:
        yield
    except HistoryUnavailableError as error:
        raise api_error(503, "history-unavailable", str(error)) from None


def sighting_to_json(sighting: Sighting) -> dict[str, Any]:
    """Return a sighting for JSON."""
    return {
        "id": sighting.id,
        "stream": sighting.stream,
        "person": sighting.person,
        "name": sighting.name,
        "first": sighting.first,
        "last": sighting.last,
        "frames": sighting.frames,
        "faces": sighting.faces,
        "score": _rounded(sighting.score),
        "quality": _rounded(sighting.quality),
        "confidence": _rounded(sighting.confidence),
        "unnamed": _unnamed_to_json(sighting.unnamed),
        "changes": msgspec.to_builtins(sighting.changes),
        "merged": sighting.merged,
        "open": sighting.open,
        "crop": f"/sightings/{sighting.id}.jpg" if sighting.crop else None,
    }


def _no_such_sighting(detail: str, complete: bool) -> web.HTTPException:
    return api_error(404, "no-such-sighting", detail, complete=complete)


def _unnamed_to_json(unnamed: Unnamed | None) -> dict[str, Any] | None:
    return None if unnamed is None else {"gate": unnamed.gate, "lacking": _rounded(unnamed.lacking)}


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 2)


def _query(given: Mapping[str, str]) -> Query:
    person, named = given.get("person") or None, read_flag(given, "named")
    if person is not None and named is (person == _UNKNOWN):
        raise api_error(
            400, "contradiction", f"'person' is {person[:80]!r}, and 'named' is {given['named']!r}"
        )
    if person == _UNKNOWN:
        person, named = None, False
    since, until = read_times(given)
    return Query(person=person, named=named, stream=read_stream(given), since=since, until=until)
