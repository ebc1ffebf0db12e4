"""Cosine similarities: how they are computed, and as what they are counted and compared."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["compare", "settled"]

#: What lies this near to 1 is 1: a single-precision vector times itself seldom is, exactly.
_ROUNDING = 1e-5


def compare(probes: NDArray[np.floating], templates: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the cosine similarities of (N, D) with (M, D), all of unit length: (N, M)."""
    return np.asarray(probes, np.float32) @ np.asarray(templates, np.float32).T


def settled(similarities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return similarities as they are counted and compared: what rounding put beside 1 is 1.

    Double precision is what thresholds have, whatever the similarities were computed in.
    """
    values = similarities.astype(np.float64).clip(-1.0, 1.0)
    values[values >= 1.0 - _ROUNDING] = 1.0
    return values
