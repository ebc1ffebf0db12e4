"""The template of a visit, as its faces come."""

import numpy as np
from numpy.typing import NDArray

from app.tracking.pool import pooled
from app.tracking.state import Template

__all__ = ["joined", "with_face"]

Floats = NDArray[np.floating]

#: Faces of a visit that are kept: more of them say little that is new, and each costs a kilobyte of every
#: checkpoint.
_KEPT = 8


def with_face(template: Template | None, embedder: str, embedding: Floats, quality: float) -> Template:
    """Return `template` with one more face, (D,) of length one, if it is among the best; or one of it alone.

    Faces of another embedder cannot be compared with it, and are forgotten.
    """
    row, its = np.asarray(embedding, np.float16)[None], np.array([quality], np.float32)
    if template is None or template.embedder != embedder:
        return _of_best(embedder, row, its)
    if template.faces == _KEPT and quality <= template.quality[-1]:
        return template
    return _of_best(
        embedder, np.concatenate([template.embeddings, row]), np.concatenate([template.quality, its])
    )


def joined(one: Template | None, other: Template | None) -> Template | None:
    """Return the template of the faces of two visits of one person."""
    if one is None or other is None or one.embedder != other.embedder:
        return one or other
    embeddings = np.concatenate([one.embeddings, other.embeddings])
    return _of_best(one.embedder, embeddings, np.concatenate([one.quality, other.quality]))


def _of_best(embedder: str, embeddings: Floats, quality: NDArray[np.float32]) -> Template:
    best = np.argsort(-quality, kind="stable")[:_KEPT]
    embeddings, quality = embeddings[best], quality[best]
    return Template(embedder, pooled(embeddings, quality), embeddings.astype(np.float16), quality)
