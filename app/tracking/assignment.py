"""Which visit each face of a frame is of: by the tracklet that it goes on with, by template, or by place.

Poor faces are no evidence: those of different people resemble each other (pictures that are dark or out of
focus by 0.5 to 0.95, `docs/recognition.md`). So similarity counts between faces that are good enough to tell;
of others it counts only where somebody was a moment ago.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from app.messages import Faces
from app.tracking.geometry import distances, growth
from app.tracking.state import Visit

__all__ = ["PART", "TELLING", "assign", "tracklet_key"]

Floats = NDArray[np.float32]

#: The quality from which on a face tells who somebody is.
TELLING = 0.35
#: A face that goes on with a tracklet is somebody else's where it is less like the visit than this part of
#: what their qualities, multiplied, let expect; and where it is by so much more like another visit.
PART, _RATHER = 0.8, 0.3
#: Two faces on one frame that are so alike are one person's, in a mirror or found twice; siblings are not.
_TWICE = 0.7
#: Milliseconds for which a place tells, and how far a face may be from it, in its sizes, at once and for each
#: second since; and how many times as large it may have become.
_MOMENT, _NEAR, _FARTHER, _LARGER = 1000, 0.6, 1.2, 1.7


def tracklet_key(faces: Faces, row: int) -> int | None:
    """Return what stands for the tracklet of a face, on the topics of cameras and of recordings alike."""
    return None if faces.tracklets is None else 2 * int(faces.tracklets[row]) + faces.live


def assign(
    faces: Faces, embedded: NDArray[np.bool_], visits: Sequence[Visit], join: float
) -> list[Visit | None]:
    """Return the visit of each face; None for one that is of none of them.

    Args:
        embedded: (N,), which faces have an embedding that can be compared with the templates of `visits`.
        join: least cosine similarity of one person's faces.
    """
    return _Assignment(faces, embedded, visits, join).visits()


class _Assignment:
    """The faces of one frame and the visits that they may be of."""

    def __init__(
        self, faces: Faces, embedded: NDArray[np.bool_], visits: Sequence[Visit], join: float
    ) -> None:
        self._faces = faces
        self._embedded = embedded
        self._visits = visits
        self._join = join
        self._linked = {key: place for place, visit in enumerate(visits) for key in visit.tracklets}
        #: (N, M) cosine similarities; -1 where there is nothing to compare.
        self._alike = self._similarities()
        quality = np.zeros(len(faces), np.float32) if faces.quality is None else faces.quality
        best = np.array([one.template.best if one.template else 0.0 for one in visits], np.float32)
        #: (N, M), how similar they must be where they are one person's; and whether that tells anything.
        self._expected = quality[:, None] * best[None]
        self._tells = (quality >= TELLING)[:, None] & (best >= TELLING)[None]
        self._found: dict[int, int] = {}

    def visits(self) -> list[Visit | None]:
        if self._visits:
            nearness = self._nearness()
            self._follow()
            self._compare(nearness <= 1.0)
            self._look_around(nearness)
        return [
            self._visits[self._found[row]] if row in self._found else None for row in range(len(self._faces))
        ]

    def _follow(self) -> None:
        """Let faces go on with the visits that their tracklets are of."""
        for row in range(len(self._faces)):
            key = tracklet_key(self._faces, row)
            place = None if key is None else self._linked.get(key)
            if place is not None and not self._is_somebody_else(row, place):
                self._found[row] = place

    def _is_somebody_else(self, row: int, place: int) -> bool:
        if not self._embedded[row] or not self._tells[row, place]:
            return False
        rivals = np.where(self._tells[row], self._alike[row], -1.0)
        alike, best = rivals[place], rivals.max()
        return bool(
            alike < PART * self._expected[row, place] or (best >= self._join and best > alike + _RATHER)
        )

    def _compare(self, near: NDArray[np.bool_]) -> None:
        """Assign faces of new tracklets by template, the most similar first."""
        for row, place in self._best_first(np.where(self._tells | near, self._alike, -1.0), self._join):
            taken = place in self._found.values()
            if row not in self._found and (not taken or self._is_twice(row, place)):
                self._found[row] = place

    def _is_twice(self, row: int, place: int) -> bool:
        return bool(self._tells[row, place] and self._alike[row, place] >= _TWICE)

    def _look_around(self, nearness: Floats) -> None:
        """Take a face that is not embedded for that of who was there a moment ago."""
        for row, place in self._best_first(np.where(self._embedded[:, None], -np.inf, -nearness), -1.0):
            if row not in self._found and place not in self._found.values():
                self._found[row] = place

    def _best_first(self, values: Floats, least: float) -> Iterable[tuple[int, int]]:
        rows, places = np.nonzero(values >= least)
        order = np.argsort(-values[rows, places], kind="stable")
        return zip(rows[order].tolist(), places[order].tolist(), strict=True)

    def _similarities(self) -> Floats:
        alike = np.full((len(self._faces), len(self._visits)), -1.0, np.float32)
        rows = np.flatnonzero(self._embedded)
        places = [place for place, one in enumerate(self._visits) if one.template is not None]
        if rows.size and places:
            vectors = np.stack([one.template.vector for one in self._visits if one.template is not None])
            alike[rows[:, None], places] = self._faces.embeddings[rows].astype(np.float32) @ vectors.T
        return alike

    def _nearness(self) -> Floats:
        """Return how far each face is from where each visit was, (N, M); up to 1 it may be theirs."""
        known = [place for place, one in enumerate(self._visits) if self._is_recent(one)]
        nearness = np.full((len(self._faces), len(self._visits)), np.inf, np.float32)
        if known and len(self._faces):
            boxes = np.stack([one.place.box for one in self._visits if self._is_recent(one) and one.place])
            since = [self._faces.captured - self._visits[place].sighting.last for place in known]
            allowed = _NEAR + _FARTHER * np.array(since, np.float32) / 1000
            apart = distances(self._faces.boxes, boxes) / allowed
            larger = growth(self._faces.boxes, boxes) > _LARGER
            nearness[:, known] = np.where(larger, np.inf, apart)
        return nearness

    def _is_recent(self, visit: Visit) -> bool:
        since = self._faces.captured - visit.sighting.last
        return visit.place is not None and visit.place.live == self._faces.live and 0 <= since <= _MOMENT
