"""Embedders: nets that turn an aligned face into numbers that can be compared, and what each of them is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.errors import one_line
from app.models.feed import SIZE, blob
from app.models.images import Floats, Image
from app.models.onnx_file import NetError, about, check_sides, read_net
from app.models.runtime.session import Runtime, Session
from app.weights import CatalogueError, EmbedderEntry, Input

__all__ = ["Embedder", "EmbedderTraits", "Vectors", "load_embedder", "measure_traits", "run_net"]

#: How far a face's numbers may move, relative to the largest, when others are in the same run. Devices that
#: compute with fewer digits stay below; a face that got another one's numbers does not.
CLOSE = 1e-2
#: What is nearer than this, relative to the largest number, is the same for every picture.
SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Vectors:
    """What an embedder makes of N faces.

    embeddings: (N, D) float32 of length one; zeros for a face that was not embedded.
    lengths: (N,) float32, the lengths before: the better a face can be told from others, the longer its
        vector (as Meng et al. 2021, MagFace, use it; nets that were not trained for it show it too).
    """

    embeddings: Floats
    lengths: Floats

    def __len__(self) -> int:
        return len(self.lengths)


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
        #: How long the vectors of faces are that are no use, and of good ones; None where nobody measured it.
        self.lengths = entry.lengths

    def embed(self, faces: Image) -> Floats:
        """Return an embedding of length one for each of `faces`: (N, 112, 112, 3) uint8 BGR to (N, D)."""
        return self.measure(faces).embeddings

    def measure(self, faces: Image) -> Vectors:
        """Return the embeddings of `faces`, (N, 112, 112, 3) uint8 BGR, and how long they were."""
        raw = np.empty((len(faces), self.dimension), dtype=np.float32)
        for first in range(0, len(faces), self._batch):
            some = slice(first, first + self._batch)
            fed = {self._session.inputs[0]: blob(list(faces[some]), self._feed)}
            raw[some] = self._session.run(self._outputs, fed)[0].reshape(-1, self.dimension)
        lengths = np.linalg.norm(raw, axis=1)
        embeddings = raw / np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]
        return Vectors(np.asarray(embeddings, np.float32), np.asarray(lengths, np.float32))


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


@dataclass(frozen=True, slots=True)
class EmbedderTraits:
    """The length of an embedder's vectors, and whether it takes several faces in one run."""

    dimension: int
    batches: bool


def measure_traits(session: Session, feed: Input) -> EmbedderTraits:
    """Run the embedder `session` on one and on two pictures.

    Raises:
        NetError: it does not run, or does not put out one vector of finite numbers for each face.
    """
    # Two pictures that are far from each other: noise, and a slope from dark to bright.
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    slope = np.broadcast_to(np.linspace(0, 255, SIZE).astype(np.uint8)[:, None, None], noise.shape)
    alone = _first(session, blob([noise], feed))
    other = _first(session, blob([np.ascontiguousarray(slope)], feed))
    lengths = [length for length in alone.shape[1:] if length > 1]
    if len(alone) != 1 or len(lengths) != 1:
        raise NetError(f"no embedder: expected one vector for each image, found {alone.shape}")
    if not np.isfinite(alone).all():
        raise NetError("no embedder: what it puts out for a random image is not finite")
    if np.allclose(alone, other, rtol=0, atol=SAME * np.abs(alone).max()):
        raise NetError("no embedder: it puts out the same for two pictures; are mean and scale right?")
    return EmbedderTraits(
        lengths[0], _batches(session, blob([np.ascontiguousarray(slope), noise], feed), alone)
    )


def _batches(session: Session, both: Floats, alone: Floats) -> bool:
    """Tell whether the second picture of `both` gets the numbers that it gets alone."""
    try:
        found = _first(session, both)
    except NetError:
        return False
    if found.shape != (2, *alone.shape[1:]):
        return False
    return bool(np.abs(found[1] - alone[0]).max() <= CLOSE * np.abs(alone).max())


def run_net(session: Session, pixels: Floats) -> dict[str, Floats]:
    """Return the outputs of `session` for `pixels`, (N, 3, H, W), by their names, or raise NetError."""
    try:
        found = session.run(None, {session.inputs[0]: pixels})
    except Exception as error:
        # The exceptions of onnxruntime have no base of their own.
        size = f"{pixels.shape[3]}x{pixels.shape[2]}"
        raise NetError(f"it does not run on {size} pixels: {one_line(error)}") from None
    return dict(zip(session.outputs, found, strict=True))


def _first(session: Session, pixels: Floats) -> Floats:
    return next(iter(run_net(session, pixels).values()))
