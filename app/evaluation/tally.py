"""Similarities, counted in fine steps: as exact as a sorted list of them, and of one size for any number."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from app.search import settled

__all__ = ["STEP", "STEPS", "Tally"]

_EACH = 10_000
#: Thresholds are multiples of this.
STEP = 1 / _EACH
#: Every threshold there is, -1 to 1; each is the number that its four decimals are read as.
STEPS: NDArray[np.float64] = np.arange(-_EACH, _EACH + 1) / _EACH


class Tally:
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
