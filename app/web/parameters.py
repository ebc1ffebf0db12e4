"""What the query of a request asks for: whatever is not understood is refused, never passed over."""

import base64
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from aiohttp import web

from app.history import Cursor
from app.messages import MessageError, stream_name
from app.web.errors import api_error

__all__ = [
    "check_names",
    "read_cursor",
    "read_flag",
    "read_number",
    "read_stream",
    "read_times",
    "write_cursor",
]

#: Beyond what a sighting's times and ids can be.
_LONGEST_CURSOR = 2000
_LATEST = 2**53


def check_names(request: web.Request, known: Collection[str]) -> None:
    """Refuse parameters that there are not, and those that are given twice."""
    given = request.query
    if unknown := set(given) - set(known):
        raise api_error(400, "bad-request", f"there is no parameter {min(unknown)[:80]!r}")
    if repeated := [name for name in known if len(given.getall(name, ())) > 1]:
        raise api_error(400, "bad-request", f"{repeated[0]!r} is given more than once")


def read_times(given: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Read `from` and `to`: milliseconds since the epoch, or ISO 8601 (UTC unless it says otherwise)."""
    since, until = _time(given.get("from")), _time(given.get("to"))
    if since is not None and until is not None and since > until:
        raise api_error(400, "contradiction", "'from' is later than 'to'")
    return since, until


def read_stream(given: Mapping[str, str]) -> str | None:
    """Read the name of a stream."""
    try:
        return stream_name(given["stream"]) if given.get("stream") else None
    except MessageError as error:
        raise api_error(400, error.reason, str(error)) from None


def read_number(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Read a whole number."""
    text = given.get(name)
    if not text:
        return default
    if not text.isdecimal() or len(text) > len(str(most)) or not least <= int(text) <= most:
        raise api_error(400, f"bad-{name}", f"{name!r} is a number from {least} to {most}")
    return int(text)


def read_flag(given: Mapping[str, str], name: str) -> bool | None:
    """Read whether something is so."""
    text = given.get(name)
    if text and text not in ("true", "false"):
        raise api_error(400, f"bad-{name}", f"{name!r} is 'true' or 'false'")
    return text == "true" if text else None


def read_cursor(given: Mapping[str, str]) -> Cursor | None:
    """Read what `write_cursor` wrote."""
    text = given.get("cursor")
    if not text:
        return None
    try:
        return _cursor(text)
    except ValueError:
        raise api_error(400, "bad-cursor", "'cursor' is not one of ours") from None


def write_cursor(cursor: Cursor | None) -> str | None:
    """Return a cursor as what travels in an address; it is the same on every worker."""
    if cursor is None:
        return None
    return base64.urlsafe_b64encode(f"{cursor.last}.{cursor.id}".encode()).decode().rstrip("=")


def _cursor(text: str) -> Cursor:
    if len(text) > _LONGEST_CURSOR:
        raise ValueError(text)
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    last, _, sighting = data.decode().partition(".")
    if not (last.isdecimal() and len(last) <= 16 and int(last) <= _LATEST and sighting):
        raise ValueError(text)
    return Cursor(int(last), sighting)


def _time(text: str | None) -> int | None:
    if not text:
        return None
    if text.isdecimal() and len(text) <= 15:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise api_error(400, "bad-time", f"{text[:80]!r} is neither milliseconds nor ISO 8601") from None
