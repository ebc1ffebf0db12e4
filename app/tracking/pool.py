"""One template of several faces of one person: their mean, in which better ones weigh more."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["pooled"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.floating]

#: What a face of this quality, or of less, says is hardly worth anything; and what it still weighs. Of three
#: small pictures of 222 people, 522 strangers, identified at 1 % false positives: 81.1 % with equal weights,
#: 83.8 % above 0.2, 85.1 % above 0.3; 73.9 % by the best one alone.
_NOTHING, _LEAST = 0.3, 0.02
#: Cosine similarity below which two faces, or a face and the mean of others, are taken for two people's.
_ELSE = 0.15


def pooled(embeddings: Floats, quality: Floats) -> NDArray[np.float32]:
    """Return the template, (D,) of length one, of K faces, (K, D) of length one, with their quality, (K,).

    Of three and more, those are left out that have nothing in common with most of the others: a tracklet may
    have gone over to somebody else.
    """
    rows = np.asarray(embeddings, np.float32)
    weights = np.maximum(np.asarray(quality, np.float32) - _NOTHING, _LEAST)
    if len(rows) > 2:
        weights = weights * _of_one_person(rows, weights)
    mean = weights @ rows
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def _of_one_person(rows: Floats, weights: Floats) -> Bools:
    """Return which faces are of the person whom most of them show, (K,); all where no two are alike.

    That person is found by the face that most others are like. The mean of all will not do: it lies between
    two people, and two faces of the second one vouch for each other in it. Nor do better faces have more to
    say in this: a few good ones of somebody else would outvote many poor ones.
    """
    similarities = rows @ rows.T
    np.fill_diagonal(similarities, 0)
    alike = similarities >= _ELSE
    # Of several that equally many are like, the one that they are most like.
    medoid = (alike * (1 + similarities)).sum(axis=1).argmax()
    own = alike[medoid]
    own[medoid] = True
    # Once more by the mean of the others: a poor face may be like that, and like no single one.
    weighed = rows * (weights * own)[:, None]
    others = weighed.sum(axis=0) - weighed
    own = (rows * others).sum(axis=1) >= _ELSE * np.maximum(np.linalg.norm(others, axis=1), 1e-12)
    return own if own.any() else np.ones_like(own)
