"""Detectors: the nets that find faces and their landmarks."""

from pathlib import Path

from app.models.catalogue import CatalogueError, DetectorEntry
from app.models.detection.base import Detections, Detector, SingleShot
from app.models.detection.centerface import CenterFace
from app.models.detection.yunet import YuNet
from app.models.runtime import Runtime

__all__ = ["ARCHITECTURES", "CenterFace", "Detections", "Detector", "YuNet", "load_detector"]

ARCHITECTURES: dict[str, type[SingleShot]] = {"centerface": CenterFace, "yunet": YuNet}


def load_detector(
    entry: DetectorEntry, folder: Path, runtime: Runtime, *, side: int, score: float
) -> Detector:
    """Load the detector of `entry` from its files in `folder`.

    Raises:
        CatalogueError: nothing here can read its output.
    """
    if entry.architecture not in ARCHITECTURES:
        raise CatalogueError(
            f"{entry.name}: unknown architecture {entry.architecture!r}; known: {', '.join(ARCHITECTURES)}"
        )
    session = runtime.load(folder / entry.files[0].name)
    return ARCHITECTURES[entry.architecture](
        session, entry.input, side=side, score=score, batch=runtime.images
    )
