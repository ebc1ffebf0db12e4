"""Detectors: the nets that find faces and their landmarks."""

from collections.abc import Sequence
from pathlib import Path

from app.models.detection.base import Detections, Detector, SingleShot
from app.models.detection.boxes import proposals_of
from app.models.detection.centerface import CenterFace
from app.models.detection.fr50 import FR50
from app.models.detection.landmarked import Landmarked
from app.models.detection.mtcnn import MTCNN
from app.models.detection.retinaface import RetinaFace
from app.models.detection.scrfd import SCRFD
from app.models.detection.yunet import YuNet
from app.models.onnx_file import about, parse_net
from app.models.runtime.session import Runtime, Session
from app.weights import CatalogueError, DetectorEntry

__all__ = [
    "ARCHITECTURES",
    "FR50",
    "MTCNN",
    "SCRFD",
    "CenterFace",
    "Detections",
    "Detector",
    "Landmarked",
    "RetinaFace",
    "YuNet",
    "finds_landmarks",
    "load_detector",
    "proposals_of",
]

SINGLE_SHOT: dict[str, type[SingleShot]] = {
    "centerface": CenterFace,
    "retinaface": RetinaFace,
    "scrfd": SCRFD,
    "yunet": YuNet,
}
#: What a catalogue may call the architecture of a detector.
ARCHITECTURES: dict[str, type[Detector]] = {**SINGLE_SHOT, "mtcnn": MTCNN, "fr50": FR50}


def load_detector(
    entry: DetectorEntry, folder: Path, runtime: Runtime, *, side: int, score: float
) -> Detector:
    """Load the detector of `entry` from its files in `folder`.

    Raises:
        CatalogueError: nothing here can read its output.
    """
    _check_known(entry)
    with about(entry):
        nets = [runtime.load(folder / file.name) for file in entry.files]
        return _made(entry, nets, side=side, score=score, batch=runtime.images)


def finds_landmarks(entry: DetectorEntry, folder: Path) -> bool:
    """Tell whether the detector of `entry` finds landmarks, from the graph in its first file in `folder`.

    Raises:
        CatalogueError: nothing here can read its output.
    """
    _check_known(entry)
    with about(entry):
        graph = parse_net(folder / entry.files[0].name).graph
    return ARCHITECTURES[entry.architecture].finds_landmarks([output.name for output in graph.output])


def _check_known(entry: DetectorEntry) -> None:
    if entry.architecture not in ARCHITECTURES:
        raise CatalogueError(
            f"{entry.name}: unknown architecture {entry.architecture!r}; known: {', '.join(ARCHITECTURES)}"
        )


def _made(entry: DetectorEntry, nets: Sequence[Session], *, side: int, score: float, batch: int) -> Detector:
    """Put the `nets` into the class that reads them."""
    if entry.architecture == "mtcnn":
        return MTCNN(nets, entry.input, side=side, score=score)
    if entry.architecture == "fr50":
        return FR50(nets, entry.input, score=score)
    kind = SINGLE_SHOT[entry.architecture]
    return kind(nets[0], entry.input, side=side, score=score, batch=batch)
