"""How likely a name is right: learnt from people who were really searched for, and tried on others.

Who has more than `PROBES` pictures is enrolled with the first one; who has fewer, and more than one, is a
stranger; who has one is enrolled beside. The probes of those enrolled weigh as much as those of strangers.
"""

import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.evaluation.face import Face
from app.evaluation.pooling import PROBES
from app.models import Floats
from app.search import Curve, Index
from app.tracking import pooled

__all__ = ["Learnt", "Trial", "learn_confidence"]

#: Probes of the enrolled, and of strangers, that a curve must rest on.
_LEAST = 30
#: Steps of Newton's method; a handful are enough.
_STEPS = 50
#: Keeps the curve finite where all that is right is more similar than all that is wrong.
_RIDGE = 1e-3
_BINS = 10


@dataclass(frozen=True, slots=True)
class Trial:
    """How well the curve of one half of the people foretells the other half, both ways.

    brier: mean square of what it is off by: 0 of a prophet, 0.25 of who always says one half.
    error: expected calibration error: how far it is off in ten steps of confidence, on average.
    steps: of each step that has probes: their share, mean confidence, and share that is right.
    """

    brier: float
    error: float
    steps: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Learnt:
    """A curve, the probes of enrolled people and of strangers that it rests on, and its trial."""

    curve: Curve
    enrolled: int
    strangers: int
    trial: Trial


@dataclass(frozen=True, slots=True)
class _Probes:
    """Probes that were searched for.

    measures: (N, 3): 1, similarity, lead. right: (N,) whether the nearest person is the right one.
    weights: (N,), with sum 1. halves: (N,) bool, in which half of the people the probe's person is.
    """

    measures: NDArray[np.float64]
    right: NDArray[np.bool_]
    known: NDArray[np.bool_]
    halves: NDArray[np.bool_]

    @property
    def weights(self) -> NDArray[np.float64]:
        shares = np.where(self.known, 1 / max(self.known.sum(), 1), 1 / max((~self.known).sum(), 1))
        return np.asarray(shares / 2, np.float64)

    def half(self, which: bool) -> "_Probes":
        rows = self.halves == which
        return _Probes(self.measures[rows], self.right[rows], self.known[rows], self.halves[rows])


def learn_confidence(people: Mapping[str, Sequence[Face | None]], *, pools: bool) -> Learnt | None:
    """Learn the curve of single faces, or of `pools` of them; None where there are too few people for it."""
    probes = _search(people, pools)
    known = int(probes.known.sum())
    strangers = len(probes.known) - known
    halves = [probes.half(which) for which in (False, True)]
    if any(min(one.known.sum(), (~one.known).sum()) < _LEAST / 2 for one in halves):
        return None
    foretold = np.zeros(len(probes.right))
    for learnt, which in zip(halves, (True, False), strict=True):
        rows = probes.halves == which
        foretold[rows] = _foretell(_fit(learnt), probes.measures[rows])
    curve = _fit(probes)
    return Learnt(_as_curve(curve), known, strangers, _try(foretold, probes))


def _search(people: Mapping[str, Sequence[Face | None]], pools: bool) -> _Probes:
    index, probes = Index(), list(_probes(people, pools))
    for name, faces in people.items():
        first = faces[0] if faces else None
        if first is not None and (len(faces) == 1 or len(faces) > PROBES):
            index.add(name, first.embedding[None])
    if not probes or not len(index):
        nothing = np.zeros(0, np.bool_)
        return _Probes(np.zeros((0, 3)), nothing, nothing, nothing)
    found = index.search(np.stack([embedding for _, _, embedding in probes]))
    lead = found.similarities - found.runners_up
    right = [owner == name and known for owner, (name, known, _) in zip(found.owners, probes, strict=True)]
    return _Probes(
        np.stack([np.ones(len(probes)), found.similarities, lead], axis=1),
        np.array(right, np.bool_),
        np.array([known for _, known, _ in probes], np.bool_),
        np.array([zlib.crc32(os.fsencode(name)) % 2 == 0 for name, _, _ in probes], np.bool_),
    )


def _probes(people: Mapping[str, Sequence[Face | None]], pools: bool) -> Iterator[tuple[str, bool, Floats]]:
    """Yield who is searched for, whether they are enrolled, and by what."""
    for name, faces in people.items():
        known = len(faces) > PROBES
        if len(faces) < 2 or (known and faces[0] is None):
            continue
        theirs = [face for face in (faces[1 : PROBES + 1] if known else faces) if face is not None]
        if not pools:
            yield from ((name, known, face.embedding) for face in theirs)
        elif len(theirs) > 1:
            quality = np.array([face.quality for face in theirs])
            yield name, known, pooled(np.stack([face.embedding for face in theirs]), quality)


def _fit(probes: _Probes) -> NDArray[np.float64]:
    """Return the weights of the logistic regression, by Newton's method."""
    weights, measures = probes.weights, probes.measures
    # Platt's targets: no more certain than so many probes allow.
    right, wrong = probes.right.sum(), (~probes.right).sum()
    targets = np.where(probes.right, (right + 1) / (right + 2), 1 / (wrong + 2))
    ridge = _RIDGE * np.diag([0.0, 1.0, 1.0]) / len(measures)
    curve = np.zeros(3)
    for _ in range(_STEPS):
        foretold = _foretell(curve, measures)
        slope = measures.T @ (weights * (foretold - targets)) + ridge @ curve
        bend = (measures * (weights * foretold * (1 - foretold))[:, None]).T @ measures + ridge
        step = np.linalg.solve(bend + 1e-12 * np.eye(3), slope)
        curve = curve - step
        if np.abs(step).max() < 1e-8:
            break
    return curve


def _foretell(curve: NDArray[np.float64], measures: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(measures @ curve, -30, 30))), np.float64)


def _as_curve(curve: NDArray[np.float64]) -> Curve:
    added, similarity, lead = (round(float(one), 4) for one in curve)
    return added, similarity, lead


def _try(foretold: NDArray[np.float64], probes: _Probes) -> Trial:
    weights = probes.weights
    off = foretold - probes.right
    steps: list[tuple[float, float, float]] = []
    for step in range(_BINS):
        rows = np.minimum((foretold * _BINS).astype(int), _BINS - 1) == step
        share = float(weights[rows].sum())
        if share:
            confidence, right = (
                float((weights * one)[rows].sum()) / share for one in (foretold, probes.right)
            )
            steps.append((share, confidence, right))
    error = sum(share * abs(confidence - right) for share, confidence, right in steps)
    return Trial(float((weights * off**2).sum()), error, tuple(steps))
