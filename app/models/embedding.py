"""Embedders: the nets that turn an aligned face into numbers that can be compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime as ort

from app.models.arrays import Floats, Image
from app.models.catalogue import CatalogueError, EmbedderEntry
from app.models.feed import blob
from app.models.netfile import NetError, check_sides, read_net
from app.models.probe import probe
from app.models.rewrite import free_axes, split_prelu
from app.models.runtime import load_session

__all__ = ["Embedder", "load_embedder"]

#: Faces in one run. More bring nothing on a CPU and would cost memory with the size of the crowd.
BATCH = 4


class Embedder:
    """Embeds aligned faces with one net; may be used by several threads at once."""

    def __init__(self, session: ort.InferenceSession, entry: EmbedderEntry, batch: int = BATCH) -> None:
        """Set up for `session`, which takes `batch` faces in one run."""
        self._session = session
        self._batch = batch
        self._input: str = session.get_inputs()[0].name
        # Some nets put out the length of the vector too, or other things, after it.
        self._outputs: list[str] = [session.get_outputs()[0].name]
        self._feed = entry.input
        self.name = entry.name
        self.dimension = entry.dimension
        self.threshold = entry.threshold

    def embed(self, faces: Image) -> Floats:
        """Return an embedding of length one for each of `faces`: (N, 112, 112, 3) uint8 BGR to (N, D)."""
        embeddings = np.empty((len(faces), self.dimension), dtype=np.float32)
        for first in range(0, len(faces), self._batch):
            some = slice(first, first + self._batch)
            fed = {self._input: blob(list(faces[some]), self._feed)}
            embeddings[some] = self._session.run(self._outputs, fed)[0].reshape(-1, self.dimension)
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def load_embedder(entry: EmbedderEntry, path: Path, *, threads: int) -> Embedder:
    """Load the embedder of `entry` from the file `path`.

    Raises:
        CatalogueError: it is not what the entry says.
    """
    with _about(entry):
        model = read_net(path)
        check_sides(model)
    free_axes(model)
    split_prelu(model)
    session = load_session(model, threads)
    return Embedder(session, entry, _checked(session, entry))


def _checked(session: ort.InferenceSession, entry: EmbedderEntry) -> int:
    """Return how many faces `session` takes in one run; raise CatalogueError if it is not that of `entry`."""
    with _about(entry):
        found = probe(session, entry.input)
    if found.dimension != entry.dimension:
        raise CatalogueError(
            f"{entry.name}: expected {entry.dimension} dimensions as the catalogue says,"
            f" found {found.dimension}"
        )
    return BATCH if found.batches else 1


@contextmanager
def _about(entry: EmbedderEntry) -> Iterator[None]:
    """Put the name of the entry before what is wrong with its net."""
    try:
        yield
    except NetError as error:
        raise CatalogueError(f"{entry.name}: {error}") from None
