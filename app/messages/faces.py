"""The faces that were found in a frame."""

from enum import IntEnum
from typing import ClassVar

import msgspec
import numpy as np

from app.messages.coding import Array, Count, Milliseconds, Pixels, StreamName, Text, Upgraders, check_array

__all__ = ["Faces", "Gate", "Lack"]


class Gate(IntEnum):
    """What became of a face; of several reasons against one, the first of these counts."""

    PASSED = 0
    SMALL = 1
    UNSURE = 2
    UNALIGNED = 3
    #: It passed, and was embedded on an earlier frame of its tracklet.
    FOLLOWED = 4


class Lack(IntEnum):
    """What a face lacks most for being a good picture (`app/models/quality.py`)."""

    UNKNOWN = 0
    SIZE = 1
    SHARPNESS = 2
    #: It is turned to the side, up or down.
    FRONT = 3


class Faces(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="v", tag=1):
    """Every face found in one frame, as columns; N may be 0."""

    upgraders: ClassVar[Upgraders] = ()

    stream: StreamName
    #: The frame, by its place on the log.
    partition: Count
    offset: Count
    seq: Count
    captured: Milliseconds
    width: Pixels
    height: Pixels
    live: bool
    #: The nets that looked: ``name@first-digits-of-sha256``.
    detector: Text
    embedder: Text
    #: (N, 4) float32: left, top, right, bottom, pixels of the frame.
    boxes: Array
    #: (N, 5, 2) float32: eyes, nose, corners of the mouth, pixels of the frame; NaN where none were found.
    landmarks: Array
    #: (N,) float32: detection scores, 0 to 1.
    scores: Array
    #: (N,) uint8: a `Gate` each; `PASSED` where the face was embedded on this frame.
    gates: Array
    #: (N, D) float16, unit length; zeros where a face was not embedded.
    embeddings: Array
    #: (N) JPEG bytes of the aligned faces, or None where none travels with this frame.
    crops: list[bytes | None]
    #: (N,) uint64: the tracklet that each face is of, by the number of its first face: faces with one number
    #: follow each other on one topic. None of a program that followed nobody.
    tracklets: Array | None = None
    #: (N,) float32: how good each face is, 0 to 1 (`app/models/quality.py`). None of a program without it.
    quality: Array | None = None
    #: (N,) uint8: what each face lacks most, a `Lack`. None of a program without it.
    lacks: Array | None = None

    def __post_init__(self) -> None:
        count = len(self.crops)
        check_array(self.boxes, "boxes", np.float32, (count, 4))
        check_array(self.landmarks, "landmarks", np.float32, (count, 5, 2), gaps=True)
        check_array(self.scores, "scores", np.float32, (count,))
        check_array(self.gates, "gates", np.uint8, (count,))
        check_array(self.embeddings, "embeddings", np.float16, (count, -1))
        if self.tracklets is not None:
            check_array(self.tracklets, "tracklets", np.uint64, (count,))
        if self.quality is not None:
            check_array(self.quality, "quality", np.float32, (count,))
        if self.lacks is not None:
            check_array(self.lacks, "lacks", np.uint8, (count,))

    def __len__(self) -> int:
        return len(self.crops)
