"""How messages become bytes, and bytes messages, whichever version of this program wrote them.

A message is one MessagePack map, whose field ``v`` is the version of its kind. Today's version is read in one
go; an older one is read as a plain map, which the kind's upgraders lead from version to version; one that is
newer than known is refused. Decoding raises `MessageError` and nothing else, whatever the bytes are.

A field with a default, which older programs may pass over, needs no new version, other than in what is read,
changed and written back, as people are: there they would drop it. For all else:

1. Change the fields of the message, and raise its `tag` by one.
2. Append to its `upgraders` a function that makes a map of the version before into one of the new version.
   Arrays are ``[type, shape, bytes]`` there, and its own ``v`` need not be touched. What holds such messages,
   as the state of a stream holds sightings, gets a new version too: its upgrader makes of each ``one``
   ``upgrade(Kind, one, one["v"]) | {"v": version(Kind)}``.
3. Add examples of the new version to `tests/golden.py`, and run it. Those of the older ones stay.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Protocol, TypeAlias, TypeVar, cast

import msgspec
import numpy as np
from msgspec import Meta
from msgspec.structs import StructConfig
from numpy.typing import NDArray

from app.errors import OnlookerError, one_line

__all__ = [
    "Array",
    "Count",
    "Fields",
    "Measure",
    "Message",
    "MessageError",
    "Milliseconds",
    "Pixels",
    "Similarity",
    "StreamName",
    "Text",
    "Upgraders",
    "check_array",
    "decode",
    "encode",
    "from_array",
    "stream_name",
    "to_array",
    "upgrade",
    "version",
]

_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Count = Annotated[int, Meta(ge=0, le=2**53)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53)]
Pixels = Annotated[int, Meta(ge=1, le=65535)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Similarity = Annotated[float, Meta(ge=-1.001, le=1.001)]
#: Bounds keep out what is no number or infinite, which JSON cannot say.
Measure = Annotated[float, Meta(ge=-1e12, le=1e12)]
StreamName = Annotated[str, Meta(pattern=rf"\A{_STREAM.pattern}\Z")]


Array = NDArray[Any]
_TYPES = {"<f4", "<f2", "|u1", "<u8"}
#: A message that is not yet one: its fields by their names, and the version as ``v``.
Fields: TypeAlias = dict[str, Any]
#: What leads from version 1 to 2, from 2 to 3, and so on to today's.
Upgraders: TypeAlias = tuple[Callable[[Fields], Fields], ...]
M = TypeVar("M", bound="Message")
#: What msgspec, and what it calls, raise for bytes that are something else.
_REFUSALS: Final = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


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


class MessageError(OnlookerError):
    """Bytes that are no message of this program; `reason` is for machines.

    ``malformed``: not the bytes of such a message; ``unknown-schema``: of a version that is not known.
    Readers of dead letters go by these words.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def from_array(value: Any) -> list[Any]:
    """Return an array as what MessagePack can say: type, shape, bytes."""
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"cannot encode {type(value).__name__}")
    little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
    return [little.dtype.str, list(little.shape), little.tobytes()]


def to_array(kind: type[Any], value: Any) -> Array:
    """Return the array that `from_array` has made `value` of.

    Raises:
        ValueError: it is none of the types and shapes that travel.
    """
    if kind is not np.ndarray and getattr(kind, "__origin__", kind) is not np.ndarray:
        raise NotImplementedError(f"cannot decode {kind}")
    match value:
        case [str() as dtype, [*shape], bytes() as data] if dtype in _TYPES:
            if not all(type(side) is int and 0 <= side <= 2**20 for side in shape) or len(shape) > 3:
                raise ValueError("an array with an impossible shape")
            return np.frombuffer(data, np.dtype(dtype)).reshape(shape)
    raise ValueError("an array is [type, shape, bytes]")


def check_array(
    array: Array, name: str, dtype: type[np.generic], shape: tuple[int, ...], *, gaps: bool = False
) -> None:
    """Refuse an array of another type or shape, or one that is not finite.

    Args:
        shape: -1 is any length.
        gaps: a row may be NaN throughout.

    Raises:
        ValueError: it is not as it is to be.
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


class Message(Protocol):
    """A `msgspec.Struct` that is tagged with its version, and knows how to come from the older ones."""

    __struct_config__: ClassVar[StructConfig]
    upgraders: ClassVar[Upgraders]


class _Unversioned(msgspec.Struct, tag_field="v", tag=0):
    """No message: there was never a version 0."""

    def __post_init__(self) -> None:
        raise ValueError("there is no version 0")


class _Version(msgspec.Struct):
    v: int


def version(kind: type[Message]) -> int:
    """Return the version of a kind of message that this program writes, and the newest that it reads."""
    return cast(int, kind.__struct_config__.tag)


def encode(message: Message) -> bytes:
    """Return the bytes of `message`."""
    return msgspec.msgpack.encode(message, enc_hook=from_array)


def decode(kind: type[M], data: bytes | None) -> M:
    """Read a message of the given kind, of any version up to today's.

    Raises:
        MessageError: `data` is not the bytes of one.
    """
    try:
        return cast(M, _decoder(kind).decode(data or b""))
    except _REFUSALS as error:
        return _decode_older(kind, data or b"", error)


def upgrade(kind: type[Message], fields: Fields, found: int) -> Fields:
    """Return the fields of a message of version `found` as those of today's version.

    Raises:
        MessageError: this program does not know that version, or the fields are not those of such a message.
    """
    _require_known(kind, found)
    try:
        for step in kind.upgraders[found - 1 :]:
            fields = step(fields)
    except MessageError:
        # Of what the message holds.
        raise
    except Exception as error:
        # An upgrader may stumble over anything where bytes are damaged. What it says may be private.
        raise _malformed(kind, f"{type(error).__name__} on the way from version {found}") from None
    return fields


def _require_known(kind: type[Message], found: int) -> None:
    known = version(kind)
    if not 1 <= found <= known:
        text = f"{kind.__name__} of version {found}; this program knows versions up to {known}"
        raise MessageError("unknown-schema", text)


@cache
def _decoder(kind: type[Message]) -> msgspec.msgpack.Decoder[Any]:
    # Only in a union is the version required: alone, a map without one passes for today's version.
    return msgspec.msgpack.Decoder(kind | _Unversioned, dec_hook=to_array)


def _decode_older(kind: type[M], data: bytes, error: Exception) -> M:
    """Read what is not of today's version; `error` says why it is not."""
    found = _version_in(data)
    if found is None or found == version(kind):
        raise _malformed(kind, error) from None
    # Before all of it is read: it may be anything.
    _require_known(kind, found)
    try:
        fields = upgrade(kind, msgspec.msgpack.decode(data), found)
        return msgspec.convert(fields | {"v": version(kind)}, kind, dec_hook=to_array)
    except _REFUSALS as refusal:
        raise _malformed(kind, refusal) from None


def _malformed(kind: type[Message], error: object) -> MessageError:
    return MessageError("malformed", f"no readable {kind.__name__}: {one_line(error)}")


def _version_in(data: bytes) -> int | None:
    try:
        return msgspec.msgpack.decode(data, type=_Version).v
    except _REFUSALS:
        return None
