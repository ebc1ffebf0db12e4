"""One template of several faces of one person: their mean, in which better ones weigh more."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["pooled"]

Floats = NDArray[np.floating]

#: What a face of this quality, or of less, says is hardly worth anything; and what it still weighs. Of three
#: small pictures of 222 people, 522 strangers, identified at 1 % false positives: 81.1 % with equal weights,
#: 83.8 % above 0.2, 85.1 % above 0.3; 73.9 % by the best one alone.
_NOTHING, _LEAST = 0.3, 0.02
#: Cosine similarity to the mean of the others below which a face is taken for somebody else's.
_ELSE = 0.15


def pooled(embeddings: Floats, quality: Floats) -> NDArray[np.float32]:
    """Return the template, (D,) of length one, of K faces, (K, D) of length one, with their quality, (K,).

    Of three and more, those are left out that have nothing in common with the others: a tracklet may have
    gone over to somebody else.
    """
    rows = np.asarray(embeddings, np.float32)
    weighed = rows * np.maximum(np.asarray(quality, np.float32) - _NOTHING, _LEAST)[:, None]
    if len(rows) > 2:
        others = weighed.sum(axis=0) - weighed
        alike = (rows * others).sum(axis=1) / np.maximum(np.linalg.norm(others, axis=1), 1e-12) >= _ELSE
        if alike.any():
            weighed = weighed[alike]
    mean = weighed.sum(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)
