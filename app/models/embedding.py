"""Embedders: the nets that turn an aligned face into numbers that can be compared."""

from pathlib import Path

import numpy as np

from app.models.arrays import Floats, Image
from app.models.feed import blob
from app.models.onnx_file import about, check_sides, read_net
from app.models.runtime.session import Runtime, Session
from app.models.traits import measure_traits
from app.weights import CatalogueError, EmbedderEntry

__all__ = ["Embedder", "load_embedder"]


class Embedder:
    """Embeds aligned faces with one net; may be used by several threads at once."""

    def __init__(self, session: Session, entry: EmbedderEntry, batch: int) -> None:
        """Set up for `session`, which takes `batch` faces in one run."""
        self._session = session
        # Some nets put out the length of the vector too, or other things, after it.
        self._outputs = session.outputs[:1]
        self._feed = entry.input
        self._batch = batch
        self.name = entry.name
        self.dimension = entry.dimension

    def embed(self, faces: Image) -> Floats:
        """Return an embedding of length one for each of `faces`: (N, 112, 112, 3) uint8 BGR to (N, D)."""
        embeddings = np.empty((len(faces), self.dimension), dtype=np.float32)
        for first in range(0, len(faces), self._batch):
            some = slice(first, first + self._batch)
            fed = {self._session.inputs[0]: blob(list(faces[some]), self._feed)}
            embeddings[some] = self._session.run(self._outputs, fed)[0].reshape(-1, self.dimension)
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def load_embedder(entry: EmbedderEntry, folder: Path, runtime: Runtime) -> Embedder:
    """Load the embedder of `entry` from its file in `folder`.

    Raises:
        CatalogueError: it is not what the entry says.
    """
    with about(entry):
        model = read_net(folder / entry.files[0].name)
        check_sides(model)
        session = runtime.load(model)
    return Embedder(session, entry, _checked(session, entry, runtime.faces))


def _checked(session: Session, entry: EmbedderEntry, faces: int) -> int:
    """Return how many of `faces` go through `session` in one run; raise if it is not that of `entry`."""
    with about(entry):
        found = measure_traits(session, entry.input)
    if found.dimension != entry.dimension:
        raise CatalogueError(
            f"{entry.name}: expected {entry.dimension} dimensions as the catalogue says,"
            f" found {found.dimension}"
        )
    return faces if found.batches else 1
