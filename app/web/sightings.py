"""Who was seen: the history."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from app.history import History, HistoryUnavailableError, Query
from app.messages import MessageError, Sighting, stream_name
from app.web.errors import api_error

__all__ = ["SightingViews", "available", "sighting_to_json"]

_MOST = 1000


class SightingViews:
    """`/sightings`."""

    def __init__(self, history: History) -> None:
        self._history = history

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/sightings", self.list),
            web.get("/sightings/{id}.jpg", self.crop),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """List sightings, newest first, and say whether these are all."""
        query = _query(request.query)
        with available():
            found = await self._history.find(query)
        listed = [sighting_to_json(sighting) for sighting in found]
        return web.json_response({"sightings": listed, "complete": self._history.complete})

    async def crop(self, request: web.Request) -> web.Response:
        """Return the best aligned face of a sighting."""
        with available():
            sighting = await self._history.get(request.match_info["id"])
        if sighting is None or not sighting.crop:
            raise api_error(404, "no-such-sighting", "there is no such sighting, or no picture of it")
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
        "score": None if sighting.score is None else round(sighting.score, 2),
        "open": sighting.open,
        "crop": f"/sightings/{sighting.id}.jpg" if sighting.crop else None,
    }


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
