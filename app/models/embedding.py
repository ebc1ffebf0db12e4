"""Embedders: the nets that turn an aligned face into numbers that can be compared."""

from pathlib import Path

import numpy as np

from app.models.arrays import Floats, Image
from app.models.catalogue import EmbedderEntry
from app.models.feed import blob
from app.models.runtime import Runtime, Session

__all__ = ["Embedder", "load_embedder"]


class Embedder:
    """Embeds aligned faces with one net; may be used by several threads at once."""

    def __init__(self, session: Session, entry: EmbedderEntry, batch: int) -> None:
        """Set up for `session`, whose batch axis must be dynamic, and `batch` faces in one run."""
        self._session = session
        self._feed = entry.input
        self._batch = batch
        self.name = entry.name
        self.dimension = entry.dimension
        self.threshold = entry.threshold

    def embed(self, faces: Image) -> Floats:
        """Return an embedding of length one for each of `faces`: (N, 112, 112, 3) uint8 BGR to (N, D)."""
        embeddings = np.empty((len(faces), self.dimension), dtype=np.float32)
        for first in range(0, len(faces), self._batch):
            some = slice(first, first + self._batch)
            fed = {self._session.inputs[0]: blob(list(faces[some]), self._feed)}
            embeddings[some] = self._session.run(None, fed)[0]
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def load_embedder(entry: EmbedderEntry, folder: Path, runtime: Runtime) -> Embedder:
    """Load the embedder of `entry` from its file in `folder`."""
    return Embedder(runtime.load(folder / entry.files[0].name), entry, runtime.faces)
