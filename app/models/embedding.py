"""Embedders: the nets that turn an aligned face into numbers that can be compared."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from app.models.arrays import Floats, Image
from app.models.catalogue import EmbedderEntry
from app.models.feed import blob
from app.models.rewrite import free_axes, split_prelu
from app.models.runtime import load_session

__all__ = ["Embedder", "load_embedder"]

#: Faces in one run. More bring nothing on a CPU and would cost memory with the size of the crowd.
BATCH = 4


class Embedder:
    """Embeds aligned faces with one net; may be used by several threads at once."""

    def __init__(self, session: ort.InferenceSession, entry: EmbedderEntry) -> None:
        """Set up for `session`, whose batch axis must be dynamic."""
        self._session = session
        self._input: str = session.get_inputs()[0].name
        self._feed = entry.input
        self.name = entry.name
        self.dimension = entry.dimension
        self.threshold = entry.threshold

    def embed(self, faces: Image) -> Floats:
        """Return an embedding of length one for each of `faces`: (N, 112, 112, 3) uint8 BGR to (N, D)."""
        embeddings = np.empty((len(faces), self.dimension), dtype=np.float32)
        for first in range(0, len(faces), BATCH):
            some = slice(first, first + BATCH)
            embeddings[some] = self._session.run(None, {self._input: blob(list(faces[some]), self._feed)})[0]
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def load_embedder(entry: EmbedderEntry, path: Path, *, threads: int) -> Embedder:
    """Load the embedder of `entry` from the file `path`."""
    model = onnx.load(path)
    free_axes(model)
    split_prelu(model)
    return Embedder(load_session(model, threads), entry)
