"""Detectors: the nets that find faces and their landmarks."""

from pathlib import Path

import onnx

from app.models.catalogue import CatalogueError, DetectorEntry
from app.models.detection.base import Detections, Detector
from app.models.detection.centerface import CenterFace
from app.models.detection.yunet import YuNet
from app.models.rewrite import free_axes, split_prelu
from app.models.runtime import load_session

__all__ = ["CenterFace", "Detections", "Detector", "YuNet", "load_detector"]

ARCHITECTURES: dict[str, type[Detector]] = {"centerface": CenterFace, "yunet": YuNet}


def load_detector(entry: DetectorEntry, path: Path, *, side: int, score: float, threads: int) -> Detector:
    """Load the detector of `entry` from the file `path`.

    Raises:
        CatalogueError: nothing here can read its output.
    """
    if entry.architecture not in ARCHITECTURES:
        raise CatalogueError(
            f"{entry.name}: unknown architecture {entry.architecture!r}; known: {', '.join(ARCHITECTURES)}"
        )
    model = onnx.load(path)
    free_axes(model)
    split_prelu(model)
    session = load_session(model, threads)
    return ARCHITECTURES[entry.architecture](session, entry.input, side, score)
