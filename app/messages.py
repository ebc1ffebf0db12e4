"""What travels on the log: every message, encoded and decoded, versioned.

Frames travel as the camera's JPEG bytes, unwrapped, with headers; everything else as one
MessagePack map whose field ``v`` is the schema's version. Decoding raises `MessageError` and
nothing else, whatever the bytes are.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from app.errors import OnlookerError

__all__ = [
    "SCHEMA",
    "Checkpoint",
    "DeadLetter",
    "Enrolment",
    "Faces",
    "Frame",
    "Identifications",
    "MessageError",
    "Person",
    "Sighting",
    "StreamStatus",
    "Template",
    "decode",
    "decode_frame",
    "encode",
    "encode_frame",
    "stream_name",
]

#: Version of every message that this program writes, and the only one that it reads.
SCHEMA: Final = 1

_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_JPEG_START = b"\xff\xd8\xff"

Count = Annotated[int, Meta(ge=0, le=2**53)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53)]
Pixels = Annotated[int, Meta(ge=1, le=65535)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Similarity = Annotated[float, Meta(ge=-1.001, le=1.001)]
#: Bounds keep out what is no number or infinite, which JSON cannot say.
Measure = Annotated[float, Meta(ge=-1e12, le=1e12)]
StreamName = Annotated[str, Meta(pattern=rf"\A{_STREAM.pattern}\Z")]
Version = Literal[1]
Array = NDArray[Any]


class MessageError(OnlookerError):
    """Bytes that are no message of this program; `reason` is for machines.

    ``malformed``: not the bytes of such a message; ``unknown-schema``: of another version.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of a stream, as its source wrote it."""

    stream: StreamName
    #: Number of the frame since its source started.
    seq: Count
    #: When the camera saw it, milliseconds since the epoch.
    captured: Milliseconds
    #: Presentation time in the medium, milliseconds since its start.
    pts: Count
    width: Pixels
    height: Pixels
    #: A live stream prefers fresh frames to all frames; a recording prefers all.
    live: bool
    #: The JPEG bytes.
    jpeg: bytes


class Faces(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Every face found in one frame, as columns; N may be 0."""

    v: Version = SCHEMA
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
    #: (N,) uint8: `app.models.gate.Gate`; 0 where the face was embedded.
    gates: Array
    #: (N, D) float16, unit length; zeros where the gate kept a face back.
    embeddings: Array
    #: (N) JPEG bytes of the aligned faces, or None where none travels with this frame.
    crops: list[bytes | None]

    def __post_init__(self) -> None:
        count = len(self.crops)
        _check(self.boxes, "boxes", np.float32, (count, 4))
        _check(self.landmarks, "landmarks", np.float32, (count, 5, 2), gaps=True)
        _check(self.scores, "scores", np.float32, (count,))
        _check(self.gates, "gates", np.uint8, (count,))
        _check(self.embeddings, "embeddings", np.float16, (count, -1))

    def __len__(self) -> int:
        return len(self.crops)


class Identifications(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Who the faces of one frame are, as it was decided, as columns; N may be 0.

    With the frame itself it is all that a viewer needs.
    """

    v: Version = SCHEMA
    stream: StreamName
    #: The frame, by its place on the log, and where its faces are on `faces`: viewers keep to the larger one.
    partition: Count
    offset: Count
    faces_offset: Count
    captured: Milliseconds
    width: Pixels
    height: Pixels
    live: bool
    #: (N, 4) float32: left, top, right, bottom, pixels of the frame.
    boxes: Array
    #: (N,) float32: detection scores, 0 to 1.
    scores: Array
    #: (N) ids and names of the people; None where it is nobody enrolled.
    people: list[Text | None]
    names: list[Text | None]
    #: (N) cosine similarities to the nearest people; None where the face was compared with nobody.
    similarities: list[Similarity | None]

    def __post_init__(self) -> None:
        count = len(self.people)
        _check(self.boxes, "boxes", np.float32, (count, 4))
        _check(self.scores, "scores", np.float32, (count,))
        if not len(self.names) == len(self.similarities) == count:
            raise ValueError(f"names and similarities are not {count} each")


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """One visit of a person (or of somebody unknown) to a stream; written again as it goes on."""

    v: Version = SCHEMA
    #: Derived from stream, person and first frame: a replay overwrites and never duplicates.
    id: Text
    stream: StreamName
    #: Id of the enrolled person; None for somebody unknown.
    person: Text | None
    #: Their name when it was decided.
    name: Text | None
    #: Capture times of the first and the latest frame, milliseconds since the epoch.
    first: Milliseconds
    last: Milliseconds
    #: Frames in which they were seen, and the offset of the latest of them on `frames`.
    frames: Count
    offset: Count
    #: Best cosine similarity to one of the person's templates; None for somebody unknown.
    score: Similarity | None
    #: JPEG bytes of the best aligned face; empty until one travelled.
    crop: bytes
    #: How good that crop is, for choosing between two: similarity, or for somebody unknown size.
    crop_score: Measure
    #: False when they have been gone for longer than the gap.
    open: bool
    #: The offset on `faces` that this version stands for: readers keep the version with the larger one, so
    #: that a writer that was away does no harm. 0 in what was written before there was one.
    revision: Count = 0


class Template(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One enrolled photograph of a person."""

    id: Text
    #: (D,) float32, unit length.
    embedding: Array
    #: The net that made it: ``name@first-digits-of-sha256``.
    embedder: Text
    #: Width and height of the face in the photograph, pixels.
    width: Pixels
    height: Pixels
    #: Detection score, 0 to 1.
    score: Measure
    #: JPEG bytes of the aligned face.
    crop: bytes

    def __post_init__(self) -> None:
        _check(self.embedding, "embedding", np.float32, (-1,))


class Person(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Somebody who is enrolled."""

    v: Version = SCHEMA
    id: Text
    name: Text
    #: Milliseconds since the epoch.
    created: Milliseconds
    updated: Milliseconds
    #: Id of the enrolment that wrote this; the web waits for it.
    revision: Text
    templates: list[Template]


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A wish to add templates to a person, or to remove the person."""

    v: Version = SCHEMA
    #: Id of the wish itself.
    id: Text
    action: Literal["add", "remove"]
    person: Text
    #: Their name; None keeps the one that they have.
    name: Text | None
    at: Milliseconds
    templates: list[Template]
    #: The person was enrolled when this was wished: one who was removed since stays removed.
    known: bool = False


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream is doing, written about once a second by the worker that has it."""

    v: Version = SCHEMA
    stream: StreamName
    #: Where its newest recognised frame is on its topic, and the faces of it on `faces`; None while none was.
    partition: Count
    frame_offset: Count | None
    faces_offset: Count | None
    #: The worker that has it.
    worker: Text
    #: When a frame was recognised last (while none was: when the first one came), and when that one was
    #: captured; milliseconds since the epoch.
    updated: Milliseconds
    captured: Milliseconds
    #: Frames recognised a second, over the last seconds.
    fps: Measure
    #: Age of the newest recognised frame when its faces were published, seconds.
    age: Measure
    width: Pixels
    height: Pixels
    live: bool
    #: Faces in the newest frame.
    faces: Count
    #: Frames recognised, and skipped by reason, since anything is known of the stream.
    frames: Count
    skipped: dict[str, Count]
    #: Frames that have come and are not yet worked on, and when one came last.
    waiting: Count = 0
    arrived: Milliseconds = 0
    #: Frames skipped a second, over the last seconds.
    skipping: Measure = 0.0
    #: For each topic of frames, the first offset that the counts do not stand for.
    counted: dict[str, Count] = {}


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a stream up to an offset on `faces`, for the worker that has it next."""

    v: Version = SCHEMA
    stream: StreamName
    #: Partition of `faces`, and the first offset of it that is not yet in `state`.
    partition: Count
    next: Count
    #: The state, as `app.tracking.state` writes it.
    state: bytes


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that could not be handled, with the reason."""

    v: Version = SCHEMA
    topic: Text
    partition: Count
    offset: Count
    key: bytes | None
    #: For machines, such as ``not-an-image``.
    reason: Text
    #: For people.
    detail: str
    at: Milliseconds
    #: The message itself where it is small; a frame stays where it is.
    value: bytes | None


Message = Faces | Identifications | Sighting | Person | Enrolment | StreamStatus | Checkpoint | DeadLetter
M = TypeVar("M", bound=Message)


def stream_name(text: str) -> str:
    """Return `text` if it can name a stream.

    Raises:
        MessageError: it is not 1 to 64 letters, digits, ``.``, ``_`` or ``-``, a letter or digit first.
    """
    if not _STREAM.fullmatch(text):
        raise MessageError(
            "bad-stream-name",
            f"a stream's name is 1 to 64 letters, digits, '.', '_', '-'; not {text[:80]!r}",
        )
    return text


def encode(message: Message) -> bytes:
    """Return the bytes of `message`."""
    return msgspec.msgpack.encode(message, enc_hook=_from_array)


def decode(kind: type[M], data: bytes | None) -> M:
    """Read a message of the given kind.

    Raises:
        MessageError: `data` is not the bytes of one.
    """
    try:
        return msgspec.msgpack.decode(data or b"", type=kind, dec_hook=_to_array)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise _unreadable(kind, data or b"", error) from None


def encode_frame(frame: Frame) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Return key, value and headers of a frame's Kafka message."""
    numbers = {
        "schema": SCHEMA,
        "seq": frame.seq,
        "captured": frame.captured,
        "pts": frame.pts,
        "width": frame.width,
        "height": frame.height,
        "live": int(frame.live),
    }
    return frame.stream.encode(), frame.jpeg, [(name, b"%d" % number) for name, number in numbers.items()]


def decode_frame(key: bytes | None, value: bytes | None, headers: Mapping[str, bytes | str]) -> Frame:
    """Read a frame from its Kafka message; the JPEG itself is only looked at by its first bytes.

    Raises:
        MessageError: key, value and headers are not those of a frame.
    """
    if _header(headers, "schema") != SCHEMA:
        raise MessageError("unknown-schema", f"a frame of schema {headers['schema']!r}, expected {SCHEMA}")
    if not isinstance(value, bytes) or not value.startswith(_JPEG_START):
        raise MessageError("not-an-image", "a frame whose value is not a JPEG")
    numbers = {name: _header(headers, name) for name in ("seq", "captured", "pts", "width", "height")}
    stream = (key or b"").decode("ascii", "replace")
    fields = {**numbers, "stream": stream, "live": _header(headers, "live") != 0, "jpeg": value}
    try:
        return msgspec.convert(fields, Frame)
    except msgspec.MsgspecError as error:
        raise MessageError("malformed", f"a frame with wrong headers: {error}") from None


def _header(headers: Mapping[str, bytes | str], name: str) -> int:
    value = headers.get(name)
    digits = value.encode("utf-8", "replace") if isinstance(value, str) else value
    if not isinstance(digits, bytes) or not digits.isdigit() or len(digits) > 16:
        raise MessageError("malformed", f"a frame whose header {name!r} is not a number")
    return int(digits)


def _unreadable(kind: type[Any], data: bytes, error: Exception) -> MessageError:
    version = _version(data)
    if version not in (None, SCHEMA):
        return MessageError("unknown-schema", f"{kind.__name__} of schema {version!r}, expected {SCHEMA}")
    return MessageError("malformed", f"no readable {kind.__name__}: {error}")


class _Versioned(msgspec.Struct):
    v: int


def _version(data: bytes) -> int | None:
    try:
        return msgspec.msgpack.decode(data, type=_Versioned).v
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        return None


def _from_array(value: Any) -> Any:
    """Write an array as its type, shape and little-endian bytes."""
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"cannot encode {type(value).__name__}")
    little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
    return [little.dtype.str, list(little.shape), little.tobytes()]


_ARRAY_TYPES = {"<f4", "<f2", "|u1"}


def _to_array(kind: type[Any], value: Any) -> Any:
    if kind is not np.ndarray and getattr(kind, "__origin__", kind) is not np.ndarray:
        raise NotImplementedError(f"cannot decode {kind}")
    match value:
        case [str() as dtype, [*shape], bytes() as data] if dtype in _ARRAY_TYPES:
            if not all(type(side) is int and 0 <= side <= 2**20 for side in shape) or len(shape) > 3:
                raise ValueError("an array with an impossible shape")
            return np.frombuffer(data, np.dtype(dtype)).reshape(shape)
    raise ValueError("an array is [type, shape, bytes]")


def _check(
    array: Array, name: str, dtype: type[np.generic], shape: tuple[int, ...], *, gaps: bool = False
) -> None:
    """Refuse an array of another type or shape (-1 is any length), or one that is not finite.

    With `gaps`, a row may be NaN throughout.
    """
    fits = array.ndim == len(shape) and all(
        want in (-1, got) for want, got in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        raise ValueError(f"{name} is {array.dtype}{array.shape}, expected {np.dtype(dtype)}{shape}")
    if gaps:
        array = array[~np.isnan(array).all(axis=tuple(range(1, array.ndim)))]
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds numbers that are not finite")
