"""Which aligned faces travel as pictures: few, because the log of faces is the memory and must stay small."""

from dataclasses import dataclass

from app.models.gate import Gate
from app.models.images import encode_jpeg
from app.models.pipeline import Analysis

__all__ = ["Crops"]

#: Milliseconds between two frames of a stream whose crops travel.
_PERIOD = 500
_QUALITY = 85
#: Streams that are remembered; one that was forgotten lets its crops travel once more.
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class _Last:
    captured: int
    faces: int


class Crops:
    """Lets the crops of a frame travel when it has more faces than before, or when it is time again."""

    def __init__(self) -> None:
        self._last: dict[str, _Last] = {}

    def choose(self, stream: str, captured: int, analysis: Analysis) -> list[bytes | None]:
        """Return JPEG bytes for each face, or None for those that do not travel."""
        passed = analysis.gates == Gate.PASSED
        count = int(passed.sum())
        last = self._last.pop(stream, None)
        due = last is None or count > last.faces or not 0 <= captured - last.captured < _PERIOD
        self._last[stream] = _Last(captured if last is None or due else last.captured, count)
        if len(self._last) > _REMEMBERED:
            del self._last[next(iter(self._last))]
        return [
            encode_jpeg(face, _QUALITY) if due and wanted else None
            for face, wanted in zip(analysis.aligned, passed, strict=True)
        ]
