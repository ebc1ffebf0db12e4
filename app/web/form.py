"""The enrolment form, read from a request with every limit kept while it arrives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO

from aiohttp import BodyPartReader, web

from app.enrolment import Photo
from app.settings import Settings
from app.web.errors import BROKEN_FORM, api_error, busy_error

__all__ = ["EnrolmentForm", "Uploads", "read_form"]

#: Seconds that a request waits for its turn.
_PATIENCE = 10.0


_LONGEST_NAME = 100
_LONGEST_FIELD = 1024


class Uploads:
    """Lets so many requests send so many bytes at once; the others wait, one behind the other."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.max_uploads
        self._room = settings.upload_bytes
        self._queue = asyncio.Lock()
        self._left = asyncio.Event()
        #: Requests that were admitted, and bytes that they may hold together.
        self.admitted = self.held = 0

    @asynccontextmanager
    async def admit(self, request: web.Request) -> AsyncIterator[int]:
        """Yield how many bytes a request may hold for as long as this lasts.

        Raises:
            HTTPException: they are more than all may hold together, or there is no room in time.
        """
        size = self._size(request)
        await self._wait_for_room(size)
        try:
            yield size
        finally:
            self.admitted -= 1
            self.held -= size
            self._left.set()

    def _size(self, request: web.Request) -> int:
        """Return how many bytes to keep for a request: all, where it does not say what it will take."""
        size = request.content_length
        if size is None or "Content-Encoding" in request.headers:
            return self._room
        if size > self._room:
            limit = self._room / 2**20
            raise api_error(413, "too-large", f"at most {limit:.3g} MiB of photographs can be sent at once")
        return size

    async def _wait_for_room(self, size: int) -> None:
        try:
            # One behind the other: what is large would wait for ever while what is small goes past it.
            async with asyncio.timeout(_PATIENCE), self._queue:
                while self.admitted >= self._most or self.held + size > self._room:
                    self._left.clear()
                    await self._left.wait()
                self.admitted += 1
                self.held += size
        except TimeoutError:
            raise busy_error("busy", "others are sending photographs now; try again soon") from None


@dataclass(slots=True)
class EnrolmentForm:
    """What a person sent to enrol somebody."""

    person: str | None = None
    name: str | None = None
    photos: list[Photo] = field(default_factory=list)
    faces: list[int | None] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many bytes the photographs take."""
        return sum(len(photo.data or b"") for photo in self.photos)

    def face(self, place: int) -> int | None:
        """Return which face of the photograph at `place` is meant, if that was said."""
        if len(self.faces) == 1:
            return self.faces[0]
        return self.faces[place] if place < len(self.faces) else None


async def read_form(request: web.Request, settings: Settings, room: int) -> EnrolmentForm:
    """Read the form.

    Args:
        room: bytes that its photographs may take together.

    Raises:
        HTTPException: it is no multipart form, a field cannot be used, or it arrives too slowly.
    """
    if request.content_type != "multipart/form-data":
        raise api_error(415, "not-multipart", "send a multipart form with 'name' and 'photo'")
    form = EnrolmentForm()
    try:
        async with asyncio.timeout(settings.upload_seconds):
            async for part in await request.multipart():
                if isinstance(part, BodyPartReader):
                    await _take(part, form, settings, room)
    except TimeoutError:
        detail = f"the photographs did not arrive within {settings.upload_seconds:g} s"
        raise api_error(408, "too-slow", detail) from None
    except BROKEN_FORM:
        raise api_error(400, "bad-request", "the multipart form cannot be read") from None
    if not form.photos:
        raise api_error(400, "no-photo", "send at least one photograph in the field 'photo'")
    return form


async def _take(part: BodyPartReader, form: EnrolmentForm, settings: Settings, room: int) -> None:
    match part.name:
        case "photo":
            if len(form.photos) == settings.max_photos:
                raise api_error(400, "too-many-photos", f"at most {settings.max_photos} photographs at once")
            file = (part.filename or f"photo {len(form.photos) + 1}")[:200]
            form.photos.append(Photo(file, await _photo(part, settings.max_photo_bytes, room - form.size)))
        case "name":
            form.name = _name(await _text(part))
        case "id":
            form.person = await _text(part)
        case "face":
            if len(form.faces) == settings.max_photos:
                raise api_error(400, "bad-face", "there are more fields 'face' than photographs allowed")
            form.faces.append(_face(await _text(part)))
        case _:
            raise api_error(400, "bad-request", f"there is no field {str(part.name)[:80]!r}")


async def _photo(part: BodyPartReader, limit: int, room: int) -> bytes | None:
    data = await _read(part, min(limit, room))
    if data is None and room < limit:
        raise api_error(413, "too-large", "the photographs are larger together than there is room for")
    return data


async def _read(part: BodyPartReader, limit: int) -> bytes | None:
    """Read a part; None where it is larger than `limit`: it is read to its end and thrown away."""
    # Gives its bytes away without a copy.
    data, size = BytesIO(), 0
    while chunk := await part.read_chunk(64 * 1024):
        size += len(chunk)
        if size <= limit:
            data.write(chunk)
        else:
            data = BytesIO()
    return data.getvalue() if size <= limit else None


async def _text(part: BodyPartReader) -> str:
    data = await _read(part, _LONGEST_FIELD)
    if data is None:
        reason = {"name": "bad-name", "face": "bad-face"}.get(str(part.name), "bad-request")
        raise api_error(400, reason, f"the field {part.name!r} is longer than {_LONGEST_FIELD} bytes")
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        raise api_error(400, "bad-request", f"the field {part.name!r} is not UTF-8") from None


def _name(text: str) -> str:
    # Among them the wide space that stands between Japanese names.
    text = " ".join(text.split())
    if not 1 <= len(text) <= _LONGEST_NAME or not text.isprintable():
        raise api_error(400, "bad-name", f"a name is 1 to {_LONGEST_NAME} printable characters")
    return text


def _face(text: str) -> int | None:
    if text == "":
        return None
    if not text.isdecimal() or len(text) > 4:
        raise api_error(400, "bad-face", "'face' is the number of a face, counted from 0")
    return int(text)
