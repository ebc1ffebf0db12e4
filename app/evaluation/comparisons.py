"""Every picture against every other one, and every visit against everybody enrolled."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.evaluation.histogram import Point, ScoreHistogram, operating_point
from app.evaluation.sample import Faces
from app.models import Floats
from app.search import compare, settled

__all__ = [
    "FMRS",
    "Block",
    "Comparisons",
    "compare_all",
    "count_matching_pairs",
    "every_pair",
    "every_search",
]

#: The false match rates that are looked at.
FMRS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

#: More than there are people in any dataset: a number and another one make one number.
_PEOPLE = 2**31
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


@dataclass(frozen=True, slots=True)
class Block:
    """Some templates against others.

    similarities: (N, M).
    genuine, impostors: (N, M), which of them are a pair of one person, and of two.
    owners, others: (N,) and (M,), whose the templates are, by number.
    """

    similarities: NDArray[np.floating]
    genuine: NDArray[np.bool_]
    impostors: NDArray[np.bool_]
    owners: NDArray[np.int64]
    others: NDArray[np.int64]


def compare_all(people: Faces) -> Comparisons:
    """Compare every picture of `people` with every other one."""
    genuine, impostors = ScoreHistogram(), ScoreHistogram()
    for block in every_pair(people):
        genuine.add(block.similarities[block.genuine])
        impostors.add(block.similarities[block.impostors])
    attempts = sum(len(theirs) * (len(theirs) - 1) // 2 for theirs in people.values())
    points = tuple(operating_point(rate, impostors, genuine, attempts) for rate in FMRS)
    return Comparisons(genuine, impostors, attempts, points)


def count_matching_pairs(blocks: Iterable[Block], threshold: float, enough: int) -> int:
    """Return how many pairs of two people have templates that reach `threshold`, up to `enough`.

    However many pictures the two have: they look alike in all of them, or in none.
    """
    pairs = np.empty(0, np.int64)
    for block in blocks:
        rows, columns = np.nonzero(block.impostors & (settled(block.similarities) >= threshold))
        one, two = block.owners[rows], block.others[columns]
        pairs = np.union1d(pairs, np.minimum(one, two) * _PEOPLE + np.maximum(one, two))
        if len(pairs) >= enough:
            return enough
    return len(pairs)


def every_pair(people: Faces) -> Iterator[Block]:
    """Give every pair of pictures with a face once, in blocks of bounded memory."""
    found = [
        (owner, face) for owner, theirs in enumerate(people.values()) for face in theirs if face is not None
    ]
    owners, faces = _columns(found)
    for top, height in _heights(len(faces), len(faces)):
        similarities = compare(faces[top : top + height], faces[top:])
        # Each pair once: those right of the diagonal.
        once = np.triu(np.ones(similarities.shape, np.bool_), k=1)
        same = owners[top : top + height, None] == owners[None, top:]
        yield Block(similarities, once & same, once & ~same, owners[top : top + height], owners[top:])


def every_search(probes: Mapping[str, Floats], enrolled: Mapping[str, Floats]) -> Iterator[Block]:
    """Give the comparisons of `probes`, one of each person, with everybody who is `enrolled`, in blocks."""
    numbers = {name: number for number, name in enumerate({**probes, **enrolled})}
    owners, faces = _columns([(numbers[name], face) for name, face in probes.items()])
    others, templates = _columns([(numbers[name], face) for name, face in enrolled.items()])
    for top, height in _heights(len(faces), len(templates)):
        same = owners[top : top + height, None] == others[None]
        similarities = compare(faces[top : top + height], templates)
        yield Block(similarities, same, ~same, owners[top : top + height], others)


def _columns(found: list[tuple[int, Floats]]) -> tuple[NDArray[np.int64], Floats]:
    owners = np.array([owner for owner, _ in found], np.int64)
    return owners, np.stack([face for _, face in found]) if found else np.empty((0, 1), np.float32)


def _heights(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Give the first row of each block, and how many rows it has at most."""
    height = max(1, _BLOCK // max(1, columns))
    return ((top, height) for top in range(0, rows, height))
