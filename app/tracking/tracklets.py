"""Tracklets: faces of one stream that follow each other, by where they are; who they are is not asked.

They save work: a face that is followed is embedded when that can change an answer, not on every frame. They
are disposable: who takes a stream over begins with new ones. Association is greedy, nearest first, between
where faces are and where those before are expected at constant velocity (as SORT does, Bewley et al. 2016, by
distance in sizes of a face rather than by overlap: few frames a second leave small faces no overlap).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.tracking.cuts import CutDetector

__all__ = ["Followed", "TrackletRules", "TrackletTracker"]

Bools = NDArray[np.bool_]
Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]

#: How far a face may be from where it is expected, in sizes of a face, at once and for each second since.
_NEAR, _FARTHER = 0.6, 1.2
#: How many times as large it may have become.
_LARGER = 1.7
#: Two faces are so near, in sizes of a face, that one may be taken for the other from now on.
_CROSSING = 1.0
#: What is newer counts for so much in the velocity; within fewer milliseconds, as in a burst, for less, for
#: boxes jitter: a pixel in a millisecond is no speed.
_FRESH, _LEAST_STEP = 0.5, 40
#: Rows of a frame that a tracklet's number can tell apart.
_ROWS = 4096


@dataclass(frozen=True, slots=True)
class TrackletRules:
    """When a tracklet ends, and when its face is embedded; times in milliseconds.

    gap: a tracklet without a face for longer has ended.
    every: embed every face.
    beat: a face that is followed is embedded again after so long.
    better: and where its quality is so much above the best that was embedded.
    """

    gap: int = 1000
    every: bool = False
    beat: int = 2000
    better: float = 0.1


@dataclass(frozen=True, slots=True)
class Followed:
    """What is known of the faces of a frame.

    numbers: (N,) uint64, of each face's tracklet, by where it began: the same for who begins at one frame.
    due: (N,) bool, whether it is to be embedded.
    """

    numbers: NDArray[np.uint64]
    due: Bools


@dataclass(slots=True, eq=False)
class _Tracklet:
    number: int
    #: (4,) left, top, right, bottom, and by how much each edge moves in a millisecond.
    box: Floats
    velocity: Floats
    captured: int
    #: When its face was embedded last, and the best quality of those; None before.
    embedded: int | None = None
    best: float = 0.0
    #: It has been so near to another one that it may be of somebody else now.
    crossed: bool = False


class TrackletTracker:
    """Follows the faces of one stream's frames, one frame after the other."""

    def __init__(self, rules: TrackletRules) -> None:
        self._rules = rules
        self._tracklets: list[_Tracklet] = []
        self._captured = 0
        self._cuts = CutDetector()

    def follow(
        self, captured: int, offset: int, scene: Grey, boxes: Floats, quality: Floats, passed: Bools
    ) -> Followed:
        """Take in the faces of a frame.

        Args:
            captured, offset: when the frame was captured, milliseconds, and its place on the log.
            scene: (H, W) uint8, the whole picture in grey and small.
            boxes: (N, 4) left, top, right, bottom, pixels.
            quality: (N,), of each face, as far as it is known before it is embedded.
            passed: (N,), which faces are good enough to be embedded.
        """
        if self._cuts.is_cut(scene) or captured < self._captured:
            # Time that goes back is a recording that begins again.
            self._tracklets.clear()
        self._captured = captured
        self._tracklets = [one for one in self._tracklets if captured - one.captured <= self._rules.gap]
        found = self._associate(captured, boxes)
        followed = [
            found.get(row) or self._begin(offset * _ROWS + row, captured, box)
            for row, box in enumerate(boxes)
        ]
        near = _near_others(boxes)
        due = np.zeros(len(boxes), np.bool_)
        for row, tracklet in enumerate(followed):
            tracklet.crossed |= bool(near[row])
            due[row] = passed[row] and self._is_due(tracklet, captured, float(quality[row]), bool(near[row]))
        return Followed(np.array([one.number for one in followed], np.uint64), due)

    def _begin(self, number: int, captured: int, box: Floats) -> _Tracklet:
        tracklet = _Tracklet(number, box, np.zeros(4, np.float32), captured)
        self._tracklets.append(tracklet)
        return tracklet

    def _associate(self, captured: int, boxes: Floats) -> dict[int, _Tracklet]:
        """Return the tracklet of each face that goes on with one, by its row, moved to where that is."""
        found: dict[int, _Tracklet] = {}
        taken: set[int] = set()
        for row, place in self._nearest_first(captured, boxes):
            if row not in found and place not in taken:
                tracklet = self._tracklets[place]
                _move(tracklet, boxes[row], captured)
                found[row] = tracklet
                taken.add(place)
        return found

    def _nearest_first(self, captured: int, boxes: Floats) -> Iterable[tuple[int, int]]:
        """Return the pairs of a face and a tracklet that may belong together."""
        if not len(boxes) or not self._tracklets:
            return []
        since = np.array([captured - one.captured for one in self._tracklets], np.float32)
        before = np.stack([one.box for one in self._tracklets])
        expected = before + np.stack([one.velocity for one in self._tracklets]) * since[:, None]
        distances = _distances(boxes, expected)
        growth = np.abs(np.log(_sizes(boxes)[:, None] / _sizes(before)[None]))
        possible = (distances <= _NEAR + _FARTHER * since / 1000) & (growth <= np.log(_LARGER))
        rows, places = np.nonzero(possible)
        order = np.argsort(distances[rows, places], kind="stable")
        return zip(rows[order].tolist(), places[order].tolist(), strict=True)

    def _is_due(self, tracklet: _Tracklet, captured: int, quality: float, near: bool) -> bool:
        """Tell whether a face is to be embedded, and take note that it is.

        Where two have met, it is seen who is who when they part.
        """
        before = tracklet.embedded
        due = (
            self._rules.every
            or before is None
            or (tracklet.crossed and not near)
            or captured - before >= self._rules.beat
            or quality >= tracklet.best + self._rules.better
        )
        if due:
            tracklet.embedded, tracklet.crossed = captured, near
            tracklet.best = max(tracklet.best, quality)
        return due


def _move(tracklet: _Tracklet, box: Floats, captured: int) -> None:
    since = captured - tracklet.captured
    missed = box - (tracklet.box + tracklet.velocity * since)
    tracklet.velocity += _FRESH * missed / max(since, _LEAST_STEP)
    tracklet.box, tracklet.captured = box, captured


def _near_others(boxes: Floats) -> Bools:
    """Return which faces are so near to another one that they may be exchanged, (N,)."""
    return np.asarray((_distances(boxes, boxes) < _CROSSING).sum(axis=1) > 1)


def _sizes(boxes: Floats) -> Floats:
    """Return the side of a square as large as each box, (N,); at least a pixel."""
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    return np.asarray(np.sqrt(np.maximum(areas, 1)), np.float32)


def _distances(boxes: Floats, others: Floats) -> Floats:
    """Return how far the middles of `boxes` (N, 4) and `others` (M, 4) are apart, (N, M), in their sizes."""
    middles, theirs = (boxes[:, :2] + boxes[:, 2:]) / 2, (others[:, :2] + others[:, 2:]) / 2
    # Not as one array of pairs with a norm along its last axis, two long: that takes ten times as long.
    across, down = (np.subtract.outer(middles[:, axis], theirs[:, axis]) for axis in (0, 1))
    apart = np.sqrt(across**2 + down**2)
    return np.asarray(apart / np.sqrt(_sizes(boxes)[:, None] * _sizes(others)[None]), np.float32)
