"""The way of one image: detect, gate, align, embed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.messages import Gate
from app.models.chosen import Chosen, chosen_nets, prepare_nets
from app.models.detection import Detections, Detector, Landmarked, load_detector
from app.models.embedding import Embedder, Vectors, load_embedder
from app.models.feed import SIZE, align
from app.models.images import Floats, Image
from app.models.quality import quality_of
from app.models.runtime.session import Runtime, runtime_for
from app.progress import SILENT, Progress
from app.settings import Settings

__all__ = ["Analysis", "Nets", "Recogniser", "gate", "load_recogniser"]


def gate(detections: Detections, min_face: int, embed_score: float) -> NDArray[np.uint8]:
    """Return the `Gate` of each face as (N,) uint8.

    A face is SMALL where its box is less than `min_face` pixels wide or high, UNSURE where its detection
    score is below `embed_score`, UNALIGNED where its landmarks are not known.
    """
    known = np.isfinite(detections.landmarks).all(axis=(1, 2))
    sizes = detections.boxes[:, 2:] - detections.boxes[:, :2]
    gates = np.where(known, Gate.PASSED, Gate.UNALIGNED)
    gates = np.where(detections.scores < embed_score, Gate.UNSURE, gates)
    return np.where(sizes.min(axis=1, initial=np.inf) < min_face, Gate.SMALL, gates).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found in one image; the rows of all arrays belong together.

    gates: (N,) uint8, a `Gate` for each face.
    embeddings: (N, D) float32 of length one; zeros for a face that did not pass the gate.
    aligned: (N, 112, 112, 3) uint8 BGR; zeros likewise.
    quality: (N,) float32, 0 to 1 (`app/models/quality.py`).
    """

    detections: Detections
    gates: NDArray[np.uint8]
    embeddings: Floats
    aligned: Image
    quality: Floats


class Recogniser:
    """Analyses images; holds no state between them and may be used by several threads at once.

    batch: how many images it is best given at once.
    """

    def __init__(
        self, detector: Detector, embedder: Embedder, min_face: int, embed_score: float, batch: int = 1
    ) -> None:
        """Join `detector` and `embedder`; `min_face` and `embed_score` set the gate."""
        self.detector = detector
        self.embedder = embedder
        self.batch = batch
        self._min_face = min_face
        self._embed_score = embed_score

    def analyse(self, image: Image) -> Analysis:
        """Find the faces of `image`, (H, W, 3) uint8 BGR, and embed those that pass the gate."""
        return self.analyse_all([image])[0]

    def analyse_all(self, images: Sequence[Image]) -> list[Analysis]:
        """Analyse `images`, of any sizes, together."""
        found = self.detect_all(images)
        gates = [passed for _, passed in found]
        aligned = [self.align(image, *one) for image, one in zip(images, found, strict=True)]
        columns = zip((one for one, _ in found), gates, self.embed_all(aligned, gates), aligned, strict=True)
        return [
            Analysis(detections, passed, vectors.embeddings, faces, self.quality(detections, faces, vectors))
            for detections, passed, vectors, faces in columns
        ]

    def detect_all(self, images: Sequence[Image]) -> list[tuple[Detections, NDArray[np.uint8]]]:
        """Find the faces of each of `images`, and say which of them are to be embedded, (N,) uint8 `Gate`."""
        return [
            (found, gate(found, self._min_face, self._embed_score))
            for found in self.detector.detect_all(images)
        ]

    def align(self, image: Image, detections: Detections, gates: NDArray[np.uint8]) -> Image:
        """Return the faces of `image`, (N, 112, 112, 3) uint8 BGR; zeros where the gate kept one back."""
        aligned = np.zeros((len(detections), SIZE, SIZE, 3), dtype=np.uint8)
        for row in np.flatnonzero(gates == Gate.PASSED):
            aligned[row] = align(image, detections.landmarks[row])
        return aligned

    def embed_all(self, aligned: Sequence[Image], gates: Sequence[NDArray[np.uint8]]) -> list[Vectors]:
        """Return the embeddings of each image's faces; those of all images are made together."""
        passed = np.concatenate(gates) == Gate.PASSED
        embeddings = np.zeros((len(passed), self.embedder.dimension), dtype=np.float32)
        lengths = np.zeros(len(passed), dtype=np.float32)
        made = self.embedder.measure(np.concatenate(aligned)[passed])
        embeddings[passed], lengths[passed] = made.embeddings, made.lengths
        ends = np.cumsum([len(column) for column in gates])[:-1]
        return [
            Vectors(*columns)
            for columns in zip(np.split(embeddings, ends), np.split(lengths, ends), strict=True)
        ]

    def quality(self, detections: Detections, aligned: Image, vectors: Vectors) -> Floats:
        """Return how good each face is, (N,) float32, 0 to 1; `aligned` and `vectors` of those embedded."""
        return quality_of(detections, aligned, vectors.lengths, self.embedder.lengths)

    def check(self) -> None:
        """Run both nets on a picture without content; raise what they raise."""
        self.detector.detect(np.full((64, 64, 3), 128, np.uint8))
        self.embedder.embed(np.full((1, SIZE, SIZE, 3), 128, np.uint8))


class Nets:
    """A recogniser that is loaded in a thread, while its worker joins the others, and may be waited for.

    Args:
        load: makes it; runs in a thread.
        detector, embedder: what messages call its nets.
    """

    def __init__(self, load: Callable[[], Recogniser], detector: str, embedder: str) -> None:
        self.detector = detector
        self.embedder = embedder
        self._load = load
        self._loading: asyncio.Future[Recogniser] | None = None

    @property
    def loaded(self) -> bool:
        """Tell whether they are there."""
        return self._loading is not None and self._loading.done() and self._loading.exception() is None

    async def get(self) -> Recogniser:
        """Wait for the nets; the first who asks starts to load them."""
        if self._loading is None:
            self._loading = asyncio.get_running_loop().run_in_executor(None, self._load)
        return await asyncio.shield(self._loading)


def load_recogniser(settings: Settings, progress: Progress = SILENT) -> Recogniser:
    """Load the nets that `settings` name, pulling what is missing first.

    Raises:
        OnlookerError: a name is unknown, a file cannot be had, nothing would find landmarks, or the device
            cannot be used.
    """
    chosen, folder = chosen_nets(settings), settings.weights_dir
    prepare_nets(settings, progress)
    runtime = runtime_for(settings)
    detector = _load_finder(chosen, settings, runtime)
    embedder = load_embedder(chosen.embedder, folder, runtime)
    return Recogniser(detector, embedder, settings.min_face, settings.embed_score, runtime.images)


def _load_finder(chosen: Chosen, settings: Settings, runtime: Runtime) -> Detector:
    """Load what finds faces and their landmarks."""
    folder, side, score = settings.weights_dir, settings.detection_side, settings.detection_score
    detector = load_detector(chosen.detector, folder, runtime, side=side, score=score)
    if chosen.landmarker is None:
        return detector
    landmarker = load_detector(chosen.landmarker, folder, runtime, side=side, score=score)
    return Landmarked(detector, landmarker)
