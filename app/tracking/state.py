"""What is known of a stream: plain, of a version, and the same again when it is written and read."""

from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.messages import (
    Array,
    Count,
    Fields,
    Milliseconds,
    Sighting,
    Upgraders,
    check_array,
    decode,
    encode,
)

__all__ = ["Mark", "Place", "StreamState", "Template", "Visit", "read_state", "write_state"]


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """How far frames were counted: an offset, and the latest capture time up to there."""

    offset: Count
    captured: Milliseconds


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where somebody's face was last: of a camera's frame or a recording's, and its box in pixels."""

    live: bool
    left: float
    top: float
    right: float
    bottom: float

    @property
    def box(self) -> NDArray[np.float32]:
        """The box, (4,) float32: left, top, right, bottom."""
        return np.array([self.left, self.top, self.right, self.bottom], np.float32)


class Template(msgspec.Struct, frozen=True, eq=False):
    """The best faces of a visit, and what they are pooled to."""

    #: The net that embedded them: ``name@first-digits-of-sha256``.
    embedder: str
    #: (D,) float32 of length one.
    vector: Array
    #: (K, D) float16 of length one, best first, and (K,) float32, how good they are.
    embeddings: Array
    quality: Array

    def __post_init__(self) -> None:
        check_array(self.vector, "vector", np.float32, (-1,))
        check_array(self.embeddings, "embeddings", np.float16, (-1, len(self.vector)))
        check_array(self.quality, "quality", np.float32, (len(self.embeddings),))

    @property
    def faces(self) -> int:
        """Of how many faces it is."""
        return len(self.quality)

    @property
    def best(self) -> float:
        """How good its three best faces are, on average: a single one may look better than it is."""
        return float(self.quality[:3].mean())

    def similarity(self, other: "Template") -> float:
        """Return the cosine similarity to another one, made by the same net."""
        return float(self.vector @ other.vector)


class Visit(msgspec.Struct, kw_only=True, eq=False):
    """Somebody's stay on the stream."""

    sighting: Sighting
    #: Capture time of the frame with which it was published last; None while it was not.
    published: Milliseconds | None = None
    #: Published as ended, for want of frames; a frame from before the gap opens it again.
    closed: bool = False
    #: None of what an older program, or another embedder, has seen.
    template: Template | None = None
    #: Tracklets of it, by `tracklet_key`, and when a face of each was seen last.
    tracklets: dict[int, Milliseconds] = {}
    #: Ids of the visits that were on one frame with it: they are of other people.
    beside: list[str] = []
    place: Place | None = None
    #: What its best face lacks most, a `Lack`; and how similar the nearest person is.
    lack: int = 0
    similarity: float | None = None


def _with_templates(fields: Fields) -> Fields:
    """Make version 2 of version 1, whose programs would drop what a visit holds now."""
    return fields


class StreamState(msgspec.Struct, kw_only=True, tag_field="v", tag=2, eq=False):
    """Who is on a stream, and which frames that stands for; of versions, as messages are."""

    upgraders: ClassVar[Upgraders] = (_with_templates,)

    #: What was counted from the cameras' topic, and from that of recordings.
    live: Mark | None = None
    recorded: Mark | None = None
    visits: list[Visit] = []
    #: Sightings that follow from the frames so far, and may not have been published yet.
    pending: list[Sighting] = []


def write_state(state: StreamState) -> bytes:
    """Return `state` as bytes."""
    return encode(state)


def read_state(data: bytes) -> StreamState:
    """Read a state.

    Raises:
        MessageError: `data` is not the bytes of one, or of one of a version that is not known.
    """
    return decode(StreamState, data)
