"""The decision: is the probe the owner it is most like?"""

import numpy as np
from numpy.typing import NDArray

from app.search.index import Nearest

__all__ = ["decide"]


def decide(nearest: Nearest, threshold: float, margin: float) -> NDArray[np.bool_]:
    """Say of each probe whether it is its nearest owner: (N,).

    Args:
        nearest: what the search has found.
        threshold: least similarity; just that is enough.
        margin: by how much the nearest owner must lead the next one; just that is enough.
    """
    found = np.array([owner is not None for owner in nearest.owners], np.bool_)
    lead = nearest.similarities - nearest.runners_up
    return found & (nearest.similarities >= threshold) & (lead >= margin)
