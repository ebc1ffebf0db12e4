"""Verification: are the two pictures of a pair of one person?

The protocol is view 2 of Labeled Faces in the Wild (Huang, Ramesh, Berg, Learned-Miller, 2007).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.evaluation.errors import EvaluationError
from app.evaluation.histogram import Point, ScoreHistogram, operating_point
from app.evaluation.pairs import Pair
from app.models import Floats

__all__ = ["FARS", "Fold", "Verification", "best_threshold", "verify"]

#: The false-accept rates that are looked at.
FARS = (1e-2, 1e-3, 1e-4)


@dataclass(frozen=True, slots=True)
class Fold:
    """One part of the pairs, decided with the threshold that is best for the others."""

    threshold: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Verification:
    """How well pairs are decided; a pair with a picture without a face is decided wrongly."""

    pairs: int
    #: Pairs with a picture without a face.
    without_face: int
    #: Mean over the folds. With one fold the threshold is the best for the same pairs: too good to be true.
    accuracy: float
    #: Standard deviation of the folds' accuracies; None with one fold.
    deviation: float | None
    folds: tuple[Fold, ...]
    #: TAR at each FAR. Genuine pairs without a face are missed; impostor pairs without one are no attempts.
    points: tuple[Point, ...]
    genuine: ScoreHistogram
    impostors: ScoreHistogram
    #: Genuine pairs, those without a face among them.
    attempts: int


def verify(pairs: Sequence[Pair], embeddings: Mapping[Path, Floats | None]) -> Verification:
    """Decide `pairs`.

    Raises:
        EvaluationError: there is nothing to choose a threshold by.
    """
    scores = np.array([_similarity(embeddings[pair.first], embeddings[pair.second]) for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    usable = ~np.isnan(scores)
    folds = _decide(scores, same, np.array([pair.fold for pair in pairs]))
    accuracies = [fold.accuracy for fold in folds]
    genuine, impostors = ScoreHistogram(scores[usable & same]), ScoreHistogram(scores[usable & ~same])
    attempts = int(same.sum())
    return Verification(
        pairs=len(pairs),
        without_face=int((~usable).sum()),
        accuracy=float(np.mean(accuracies)),
        deviation=float(np.std(accuracies, ddof=1)) if len(folds) > 1 else None,
        folds=folds,
        points=tuple(operating_point(far, impostors, genuine, attempts) for far in FARS),
        genuine=genuine,
        impostors=impostors,
        attempts=attempts,
    )


def best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """Return the score that, as the least one accepted, decides most pairs rightly.

    The middle one where several are as good.

    Args:
        scores: (N,) of pairs with two faces, N at least 1.
        same: (N,) whether each is genuine.
    """
    candidates = np.unique(scores)
    accepted = same.sum() - np.searchsorted(np.sort(scores[same]), candidates)
    rejected = np.searchsorted(np.sort(scores[~same]), candidates)
    right = accepted + rejected
    best = candidates[right == right.max()]
    return float(best[len(best) // 2])


def _decide(
    scores: NDArray[np.float64], same: NDArray[np.bool_], folds: NDArray[np.intp]
) -> tuple[Fold, ...]:
    numbers = np.unique(folds)
    decided = []
    for fold in numbers:
        inside = folds == fold
        others = (~inside if len(numbers) > 1 else inside) & ~np.isnan(scores)
        if not others.any():
            raise EvaluationError(
                f"no pair with two faces is left to choose the threshold of fold {fold + 1}"
            )
        threshold = best_threshold(scores[others], same[others])
        # A pair without a face is neither at least nor below the threshold.
        right = np.where(same, scores >= threshold, scores < threshold)[inside]
        decided.append(Fold(threshold, float(right.mean())))
    return tuple(decided)


def _similarity(first: Floats | None, second: Floats | None) -> float:
    return np.nan if first is None or second is None else float(first @ second)
