"""Which aligned faces travel as pictures: few, because the log of faces is the memory and must stay small."""

__all__ = ["CropBeat"]

#: Milliseconds between two frames of a stream whose crops travel.
_PERIOD = 500


class CropBeat:
    """Lets the crops of a frame travel when it has more faces than the last one, or when it is time again."""

    __slots__ = ("_captured", "_faces")

    def __init__(self) -> None:
        self._captured: int | None = None
        self._faces = 0

    def due(self, captured: int, faces: int) -> bool:
        """Tell whether the crops of the next frame travel, which has so many faces that are embedded."""
        before = self._captured
        due = before is None or faces > self._faces or not 0 <= captured - before < _PERIOD
        self._captured, self._faces = captured if due else before, faces
        return due
