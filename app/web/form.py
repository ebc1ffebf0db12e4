"""The enrolment form, read from a request with every limit kept while it arrives."""

from dataclasses import dataclass, field

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from app.enrolment.photos import Photo
from app.settings import Settings
from app.web.errors import api_error

__all__ = ["EnrolmentForm", "read_form"]

_LONGEST_NAME = 100
_LONGEST_FIELD = 1024

#: What aiohttp raises for broken forms, by place of the damage.
_BROKEN = (ValueError, LookupError, RuntimeError, HttpProcessingError)


@dataclass(slots=True)
class EnrolmentForm:
    """What a person sent to enrol somebody."""

    person: str | None = None
    name: str | None = None
    photos: list[Photo] = field(default_factory=list)
    faces: list[int | None] = field(default_factory=list)

    def face(self, place: int) -> int | None:
        """Return which face of the photograph at `place` is meant, if that was said."""
        if len(self.faces) == 1:
            return self.faces[0]
        return self.faces[place] if place < len(self.faces) else None


async def read_form(request: web.Request, settings: Settings) -> EnrolmentForm:
    """Read the form.

    Raises:
        HTTPException: it is no multipart form, or a field cannot be used.
    """
    if request.content_type != "multipart/form-data":
        raise api_error(415, "not-multipart", "send a multipart form with 'name' and 'photo'")
    form = EnrolmentForm()
    try:
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader):
                await _take(part, form, settings)
    except _BROKEN:
        raise api_error(400, "bad-request", "the multipart form cannot be read") from None
    if not form.photos:
        raise api_error(400, "no-photo", "send at least one photograph in the field 'photo'")
    return form


async def _take(part: BodyPartReader, form: EnrolmentForm, settings: Settings) -> None:
    match part.name:
        case "photo":
            if len(form.photos) == settings.max_photos:
                raise api_error(400, "too-many-photos", f"at most {settings.max_photos} photographs at once")
            file = (part.filename or f"photo {len(form.photos) + 1}")[:200]
            form.photos.append(Photo(file, await _read(part, settings.max_photo_bytes)))
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


async def _read(part: BodyPartReader, limit: int) -> bytes | None:
    """Read a part; None where it is larger than `limit`, whose rest is read and thrown away."""
    data = bytearray()
    while chunk := await part.read_chunk(64 * 1024):
        if len(data) <= limit:
            data += chunk
    return bytes(data) if len(data) <= limit else None


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
