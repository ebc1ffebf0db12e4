"""The clip that benchmarks run on, and what is to be found on it."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from app.models import load_recogniser
from app.models.images import encode_jpeg
from app.settings import ROOT, Settings

sys.path.insert(0, str(ROOT / "tests"))
from media.clips import make_clip, truth_of

__all__ = ["Clip", "Image", "add_clip", "chosen_clip", "decoded"]

Image = NDArray[np.uint8]

#: By how much the faces that are found may differ from those that are there.
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Clip:
    """A video, and how many faces are on each of its frames."""

    path: Path
    faces: Sequence[int]
    #: Frames on which Barack Obama can be seen; None where nobody knows.
    known: Sequence[bool] | None

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.faces)

    def decoded(self) -> Iterator[Image]:
        """Yield the frames, (H, W, 3) uint8 BGR."""
        return decoded(self.path)

    def jpegs(self, quality: int = 90) -> list[tuple[Image, bytes]]:
        """Return the frames, each with its JPEG."""
        return [(image, encode_jpeg(image, quality)) for image in self.decoded()]

    def wrong(self, what: str, found: dict[int, int]) -> list[str]:
        """Return what is wrong with the faces that were found, by the frame's number, counted on and on."""
        if not found:
            return [f"{what}: nothing was found"]
        expected = sum(self.faces[number % self.frames] for number in found)
        number = sum(found.values())
        if abs(number - expected) <= _TOLERANCE * expected:
            return []
        return [f"{what}: {number} faces were found on {len(found)} frames, and {expected} are there"]


def add_clip(parser: argparse.ArgumentParser) -> None:
    """Add the option that names another clip."""
    parser.add_argument(
        "--clip", type=Path, help="a video; one that is drawn, of several people, if not given"
    )


def chosen_clip(path: Path | None) -> Clip:
    """Return the clip that was named; what is to be found on it is what the bare nets find.

    Raises:
        SystemExit: it cannot be read.
    """
    if path is None:
        truth = truth_of("stage")
        known = [any(face.person == "obama" for face in faces) for faces in truth]
        return Clip(make_clip("stage"), [len(faces) for faces in truth], known)
    if not path.is_file():
        raise SystemExit(f"there is no clip {path}")
    recogniser = load_recogniser(Settings())
    return Clip(path, [len(recogniser.analyse(image).detections) for image in decoded(path)], None)


def decoded(path: Path) -> Iterator[Image]:
    """Yield the frames of a video, (H, W, 3) uint8 BGR."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "SLICE"
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="bgr24")
