"""Every picture against every other one."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.evaluation.histogram import Point, ScoreHistogram, operating_point
from app.evaluation.sample import Faces
from app.search import compare, settled

__all__ = ["FMRS", "Comparisons", "compare_all", "count_matching_pairs"]

#: The false match rates that are looked at.
FMRS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

#: Similarities that are in memory at once.
_BLOCK = 2**22


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The similarities of all pairs of pictures that have a face, of one person and of two."""

    genuine: ScoreHistogram
    impostors: ScoreHistogram
    #: Genuine pairs, those with a picture without a face among them.
    attempts: int
    points: tuple[Point, ...]


def compare_all(people: Faces) -> Comparisons:
    """Compare every picture of `people` with every other one."""
    genuine, impostors = ScoreHistogram(), ScoreHistogram()
    for block in _blocks(people):
        genuine.add(block.similarities[block.genuine])
        impostors.add(block.similarities[block.impostors])
    attempts = sum(len(theirs) * (len(theirs) - 1) // 2 for theirs in people.values())
    points = tuple(operating_point(rate, impostors, genuine, attempts) for rate in FMRS)
    return Comparisons(genuine, impostors, attempts, points)


def count_matching_pairs(people: Faces, threshold: float, enough: int) -> int:
    """Return how many pairs of two people have pictures that reach `threshold`, counting to `enough` at most.

    However many pictures the two have: they look alike in all of them, or in none.
    """
    pairs = np.empty(0, np.int64)
    for block in _blocks(people):
        rows, columns = np.nonzero(block.impostors & (settled(block.similarities) >= threshold))
        one, two = block.owners[rows], block.others[columns]
        pairs = np.union1d(pairs, np.minimum(one, two) * len(people) + np.maximum(one, two))
        if len(pairs) >= enough:
            return enough
    return len(pairs)


@dataclass(frozen=True, slots=True)
class _Block:
    """Some pictures against all that come after them.

    similarities: (N, M).
    genuine, impostors: (N, M), which of them are a pair of one person, and of two.
    owners, others: (N,) and (M,), whose the pictures are, by number.
    """

    similarities: NDArray[np.floating]
    genuine: NDArray[np.bool_]
    impostors: NDArray[np.bool_]
    owners: NDArray[np.int64]
    others: NDArray[np.int64]


def _blocks(people: Faces) -> Iterator[_Block]:
    """Give every pair of pictures with a face once, in blocks of bounded memory."""
    found = [
        (owner, face) for owner, theirs in enumerate(people.values()) for face in theirs if face is not None
    ]
    everybody = np.array([owner for owner, _ in found], np.int64)
    faces = np.stack([face for _, face in found]) if found else np.empty((0, 1), np.float32)
    height = max(1, _BLOCK // max(1, len(faces)))
    for top in range(0, len(faces), height):
        owners, others = everybody[top : top + height], everybody[top:]
        similarities = compare(faces[top : top + height], faces[top:])
        # Each pair once: those right of the diagonal.
        once = np.triu(np.ones(similarities.shape, np.bool_), k=1)
        same = owners[:, None] == others[None, :]
        yield _Block(similarities, once & same, once & ~same, owners, others)
