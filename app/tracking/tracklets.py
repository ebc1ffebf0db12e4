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
from app.tracking.geometry import distances, growth

__all__ = ["Followed", "Seen", "TrackletRules", "TrackletTracker"]

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
#: Two faces that look less alike from one frame to the next, from afar, may be of two people. Of the same
#: one's 99 in 100 are above at 25 frames a second, 94 at 9, and of different people one in twenty.
_ALIKE = 0.9
#: Milliseconds after which it is doubtful whether who is there again is the same.
_AWAY = 500
#: Milliseconds after which a face is embedded a second time: the first picture may be a poor one. From there
#: on the time doubles.
_SOON = 200
#: Milliseconds between two pictures that are kept: the log of faces is the memory and must stay small.
_PERIOD = 500
#: Rows of a frame that a tracklet's number can tell apart.
_ROWS = 4096


@dataclass(frozen=True, slots=True)
class TrackletRules:
    """When a tracklet ends, and when its face is embedded; times in milliseconds.

    gap: a tracklet without a face for longer has ended.
    every: embed every face.
    beat: a face that is followed is embedded again after so long, and sooner while it is new.
    better: and where its quality is so much above the best that was embedded.
    """

    gap: int = 2000
    every: bool = False
    beat: int = 2000
    better: float = 0.1


@dataclass(frozen=True, slots=True)
class Followed:
    """What is known of the faces of a frame.

    numbers: (N,) uint64, of each face's tracklet, by where it began: the same for who begins at one frame.
    due: (N,) bool, whether it is to be embedded.
    pictured: (N,) bool, whether the picture of one that is due is to be kept.
    """

    numbers: NDArray[np.uint64]
    due: Bools
    pictured: Bools


@dataclass(slots=True, eq=False)
class _Tracklet:
    number: int
    begun: int
    captured: int
    #: (4,) left, top, right, bottom, and by how much each edge moves in a millisecond.
    box: Floats
    velocity: Floats
    #: How the face looks from afar.
    patch: Floats
    #: When its face was embedded last, and the best quality of those; None before.
    embedded: int | None = None
    best: float = 0.0
    #: When its picture was kept last.
    pictured: int | None = None
    #: It has been so near to another one, or away, or has changed so much, that it may be somebody else's.
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What a frame shows.

    scene: (H, W) uint8, the whole picture in grey and small.
    boxes: (N, 4) left, top, right, bottom, pixels.
    patches: (N, P) of length one, how each face looks from afar; the product of two is how alike they look.
    quality: (N,), of each face, as far as it is known before it is embedded.
    passed: (N,), which faces are good enough to be embedded.
    """

    scene: Grey
    boxes: Floats
    patches: Floats
    quality: Floats
    passed: Bools


class TrackletTracker:
    """Follows the faces of one stream's frames, one frame after the other."""

    def __init__(self, rules: TrackletRules) -> None:
        self._rules = rules
        self._tracklets: list[_Tracklet] = []
        self._captured = 0
        self._cuts = CutDetector()

    def follow(self, captured: int, offset: int, seen: Seen) -> Followed:
        """Take in the faces of a frame.

        Args:
            captured, offset: when the frame was captured, milliseconds, and its place on the log.
        """
        if self._cuts.is_cut(seen.scene) or captured < self._captured:
            # Time that goes back is a recording that begins again.
            self._tracklets.clear()
        self._captured = captured
        self._tracklets = [one for one in self._tracklets if captured - one.captured <= self._rules.gap]
        found = self._associate(captured, seen)
        followed = [
            found.get(row) or self._begin(offset * _ROWS + row, captured, seen, row)
            for row in range(len(seen.boxes))
        ]
        near = _near_others(seen.boxes)
        due, pictured = np.zeros((2, len(followed)), np.bool_)
        for row in np.flatnonzero(seen.passed).tolist():
            tracklet, quality = followed[row], float(seen.quality[row])
            tracklet.doubtful |= bool(near[row])
            better = quality >= tracklet.best + self._rules.better
            due[row] = better or self._is_due(tracklet, captured, bool(near[row]))
            pictured[row] = due[row] and (better or _is_unseen(tracklet, captured))
            if due[row]:
                tracklet.embedded, tracklet.doubtful = captured, bool(near[row])
                tracklet.best = max(tracklet.best, quality)
            if pictured[row]:
                tracklet.pictured = captured
        return Followed(np.array([one.number for one in followed], np.uint64), due, pictured)

    def begin_again(self, followed: Followed) -> None:
        """Have those embedded again that were due on a frame of which nothing came."""
        numbers = set(followed.numbers[followed.due].tolist())
        for tracklet in self._tracklets:
            if tracklet.number in numbers:
                tracklet.embedded, tracklet.best = None, 0.0

    def _begin(self, number: int, captured: int, seen: Seen, row: int) -> _Tracklet:
        box = seen.boxes[row]
        tracklet = _Tracklet(number, captured, captured, box, np.zeros(4, np.float32), seen.patches[row])
        self._tracklets.append(tracklet)
        return tracklet

    def _associate(self, captured: int, seen: Seen) -> dict[int, _Tracklet]:
        """Return the tracklet of each face that goes on with one, by its row, moved to where that is."""
        found: dict[int, _Tracklet] = {}
        taken: set[int] = set()
        for row, place in self._nearest_first(captured, seen.boxes):
            if row not in found and place not in taken:
                tracklet = self._tracklets[place]
                alike = float(tracklet.patch @ seen.patches[row])
                tracklet.doubtful |= captured - tracklet.captured > _AWAY or alike < _ALIKE
                tracklet.patch = seen.patches[row]
                _move(tracklet, seen.boxes[row], captured)
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
        apart = distances(boxes, expected)
        possible = (apart <= _NEAR + _FARTHER * since / 1000) & (growth(boxes, before) <= _LARGER)
        rows, places = np.nonzero(possible)
        order = np.argsort(apart[rows, places], kind="stable")
        return zip(rows[order].tolist(), places[order].tolist(), strict=True)

    def _is_due(self, tracklet: _Tracklet, captured: int, near: bool) -> bool:
        """Tell whether a face is to be embedded that is no better than before.

        Where two have met, it is seen who is who when they part.
        """
        before = tracklet.embedded
        return (
            self._rules.every
            or before is None
            or (tracklet.doubtful and not near)
            or captured - before >= min(max(_SOON, before - tracklet.begun), self._rules.beat)
        )


def _is_unseen(tracklet: _Tracklet, captured: int) -> bool:
    return tracklet.pictured is None or captured - tracklet.pictured >= _PERIOD


def _move(tracklet: _Tracklet, box: Floats, captured: int) -> None:
    since = captured - tracklet.captured
    missed = box - (tracklet.box + tracklet.velocity * since)
    tracklet.velocity += _FRESH * missed / max(since, _LEAST_STEP)
    tracklet.box, tracklet.captured = box, captured


def _near_others(boxes: Floats) -> Bools:
    """Return which faces are so near to another one that they may be exchanged, (N,)."""
    return np.asarray((distances(boxes, boxes) < _CROSSING).sum(axis=1) > 1)
