"""The way of one image: detect, gate, align, embed."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.models.alignment import SIZE, align
from app.models.arrays import Floats, Image
from app.models.catalogue import load_catalogue
from app.models.detection import Detections, Detector, load_detector
from app.models.embedding import Embedder, load_embedder
from app.models.fetch import path_of, pull_all
from app.models.gate import Gate, gate
from app.models.report import Report
from app.settings import Settings

__all__ = ["Analysis", "Recogniser", "load_recogniser"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found in one image; the rows of all arrays belong together.

    gates: (N,) uint8, a `Gate` for each face.
    embeddings: (N, D) float32 of length one; zeros for a face that did not pass the gate.
    aligned: (N, 112, 112, 3) uint8 BGR; zeros likewise.
    seconds: time spent in the stages `detect`, `align` and `embed`.
    """

    detections: Detections
    gates: NDArray[np.uint8]
    embeddings: Floats
    aligned: Image
    seconds: dict[str, float]


class Recogniser:
    """Analyses images; holds no state between them and may be used by several threads at once."""

    def __init__(self, detector: Detector, embedder: Embedder, min_face: int, embed_score: float) -> None:
        """Join `detector` and `embedder`; `min_face` and `embed_score` set the gate."""
        self.detector = detector
        self.embedder = embedder
        self._min_face = min_face
        self._embed_score = embed_score

    def analyse(self, image: Image) -> Analysis:
        """Find the faces of `image`, (H, W, 3) uint8 BGR, and embed those that pass the gate."""
        started = time.perf_counter()
        detections = self.detector.detect(image)
        detected = time.perf_counter()
        gates = gate(detections, self._min_face, self._embed_score)
        passed = np.flatnonzero(gates == Gate.PASSED)
        aligned = np.zeros((len(detections), SIZE, SIZE, 3), dtype=np.uint8)
        for row in passed:
            aligned[row] = align(image, detections.landmarks[row])
        all_aligned = time.perf_counter()
        embeddings = np.zeros((len(detections), self.embedder.dimension), dtype=np.float32)
        embeddings[passed] = self.embedder.embed(aligned[passed])
        seconds = {
            "detect": detected - started,
            "align": all_aligned - detected,
            "embed": time.perf_counter() - all_aligned,
        }
        return Analysis(detections, gates, embeddings, aligned, seconds)


def load_recogniser(settings: Settings, report: Report | None = None) -> Recogniser:
    """Load the nets that `settings` name, pulling what is missing first.

    Raises:
        OnlookerError: a name is unknown, or a file cannot be had.
    """
    folder = settings.weights_dir
    catalogue = load_catalogue(folder)
    finder, embedder = catalogue.detector(settings.detector), catalogue.embedder(settings.embedder)
    pull_all([finder, embedder], folder, settings.weights_mirror, report)
    detector = load_detector(
        finder,
        path_of(finder, folder),
        side=settings.detection_side,
        score=settings.detection_score,
        threads=settings.threads,
    )
    net = load_embedder(embedder, path_of(embedder, folder), threads=settings.threads)
    return Recogniser(detector, net, settings.min_face, settings.embed_score)
