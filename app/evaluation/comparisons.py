"""Every picture against every other one."""

from dataclasses import dataclass

import numpy as np

from app.evaluation.points import Point, operate
from app.evaluation.sample import Faces
from app.evaluation.tally import Tally

__all__ = ["FMRS", "Comparisons", "compare_all"]

#: The false match rates that are looked at.
FMRS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

#: Similarities that are in memory at once.
_BLOCK = 2**22


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The similarities of all pairs of pictures that have a face, of one person and of two."""

    genuine: Tally
    impostors: Tally
    #: Genuine pairs, those with a picture without a face among them.
    attempts: int
    points: tuple[Point, ...]


def compare_all(people: Faces) -> Comparisons:
    """Compare every picture of `people` with every other one, in blocks of bounded memory."""
    found = [
        (owner, face) for owner, theirs in enumerate(people.values()) for face in theirs if face is not None
    ]
    owners = np.array([owner for owner, _ in found], np.intp)
    faces = np.stack([face for _, face in found]) if found else np.empty((0, 1), np.float32)
    genuine, impostors = Tally(), Tally()
    height = max(1, _BLOCK // max(1, len(faces)))
    for top in range(0, len(faces), height):
        rows, columns = slice(top, top + height), slice(top, None)
        similarities = faces[rows] @ faces[columns].T
        # Each pair once: those right of the diagonal.
        once = np.triu(np.ones(similarities.shape, np.bool_), k=1)
        same = owners[rows, None] == owners[None, columns]
        genuine.add(similarities[once & same])
        impostors.add(similarities[once & ~same])
    attempts = sum(len(theirs) * (len(theirs) - 1) // 2 for theirs in people.values())
    points = tuple(operate(rate, impostors, genuine, attempts) for rate in FMRS)
    return Comparisons(genuine, impostors, attempts, points)
