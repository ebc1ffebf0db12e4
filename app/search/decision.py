"""The decision: is the probe the owner it is most like?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.search.index import Nearest

__all__ = ["Match", "decide"]


@dataclass(frozen=True, slots=True)
class Match:
    """Who a probe is."""

    #: The person, or None where nobody is near enough or two people are too near each other.
    person: str | None
    name: str | None
    #: Cosine similarity to the nearest person's nearest template; -1 in an empty gallery.
    similarity: float
    #: The nearest person, whether or not it is them.
    nearest: str | None
    #: Cosine similarity to the person who is next; -1 where there is none.
    runner_up: float = -1.0


def decide(nearest: Nearest, threshold: float | NDArray[np.floating], margin: float) -> NDArray[np.bool_]:
    """Say of each probe whether it is its nearest owner: (N,).

    Args:
        nearest: what the search has found.
        threshold: least similarity, of all or of each, (N,); just that is enough.
        margin: by how much the nearest owner must lead the next one; just that is enough.
    """
    found = np.array([owner is not None for owner in nearest.owners], np.bool_)
    lead = nearest.similarities - nearest.runners_up
    return found & (nearest.similarities >= threshold) & (lead >= margin)
