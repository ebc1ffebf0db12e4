"""Similarities, counted in fine steps, and the operating points that follow: what an error rate costs.

The counts are as exact as a sorted list of similarities, and of one size for any number of them.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.search import settled

__all__ = ["STEP", "STEPS", "Point", "ScoreHistogram", "allowed_errors", "operating_point"]

_EACH = 10_000
#: Thresholds are multiples of this.
STEP = 1 / _EACH
#: Every threshold there is, -1 to 1; each is the number that its four decimals are read as.
STEPS: NDArray[np.float64] = np.arange(-_EACH, _EACH + 1) / _EACH


class ScoreHistogram:
    """How many similarities lie in each step.

    counts: (20001,) int64; row i counts those from `STEPS[i]` up to, but without, the next one, and the last
        row those from 1 on.
    """

    def __init__(self, similarities: NDArray[np.floating] | Iterable[float] = ()) -> None:
        """Count `similarities`, of any shape."""
        self.counts = np.zeros(len(STEPS), np.int64)
        self.add(similarities)

    def __len__(self) -> int:
        return int(self.counts.sum())

    def add(self, similarities: NDArray[np.floating] | Iterable[float]) -> None:
        """Count more."""
        if not isinstance(similarities, np.ndarray):
            similarities = np.array(list(similarities))
        values = settled(similarities).ravel()
        rows = ((values + 1.0) * _EACH).astype(np.intp)
        # The product may be rounded over the border of a step.
        rows -= values < STEPS[rows]
        rows += values >= STEPS[np.minimum(rows + 1, len(STEPS) - 1)]
        self.counts += np.bincount(rows.clip(0, len(STEPS) - 1), minlength=len(STEPS))

    def at_least(self, threshold: float) -> int:
        """Return how many reach `threshold`, one of `STEPS`."""
        return int(self.counts[np.searchsorted(STEPS, threshold) :].sum())

    def above(self) -> NDArray[np.int64]:
        """Return how many reach each of `STEPS`, (20001,)."""
        return np.cumsum(self.counts[::-1])[::-1]

    def threshold(self, allowed: int) -> float | None:
        """Return the least threshold that at most `allowed` reach; None where even 1 is reached by more."""
        enough = self.above() <= allowed
        return float(STEPS[enough.argmax()]) if enough.any() else None


@dataclass(frozen=True, slots=True)
class Point:
    """What a rate of false accepts costs; threshold and hits are None where the data cannot support it."""

    #: The false accepts asked for, as a share of `comparisons`.
    rate: float
    #: Attempts of impostors that it rests on, and how many the rate would need for one false accept.
    comparisons: int
    needed: int
    #: The least similarity that is accepted.
    threshold: float | None
    #: Attempts of impostors that reach the threshold.
    false_accepts: int
    #: The share of genuine attempts that reach it.
    hits: float | None
    #: Why there is no threshold; None where there is one.
    why_not: str | None = None


def allowed_errors(rate: float, comparisons: int) -> int:
    """Return how many false accepts are within `rate`."""
    # 0.001 * 3000 is a little less or more than 3.
    return math.floor(rate * comparisons * (1 + 1e-12))


def operating_point(rate: float, impostors: ScoreHistogram, genuine: ScoreHistogram, attempts: int) -> Point:
    """Return the point where at most `rate` of `impostors` are accepted.

    Args:
        genuine: similarities of genuine attempts that could be compared.
        attempts: all genuine attempts, those that failed for want of a face among them.
    """
    comparisons = len(impostors)
    needed = math.ceil(1 / rate * (1 - 1e-12))
    allowed = allowed_errors(rate, comparisons)
    threshold = impostors.threshold(allowed)
    why_not = None
    if not attempts:
        why_not = "there are no two pictures of one person"
    elif not allowed:
        why_not = f"{comparisons:,} attempts, {needed:,} needed"
    elif threshold is None:
        why_not = f"more than {allowed:,} attempts have similarity 1: copies of one picture?"
    if threshold is None or why_not:
        return Point(rate, comparisons, needed, None, 0, None, why_not)
    hits = genuine.at_least(threshold) / attempts
    return Point(rate, comparisons, needed, threshold, impostors.at_least(threshold), hits)
