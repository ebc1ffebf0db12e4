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

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, Final, Protocol, TypeAlias, TypeVar, cast

import msgspec
from msgspec.structs import StructConfig

from app.errors import one_line
from app.messages.arrays import from_array, to_array
from app.messages.errors import MessageError

__all__ = ["Fields", "Message", "Upgraders", "decode", "encode", "upgrade", "version"]

#: A message that is not yet one: its fields by their names, and the version as ``v``.
Fields: TypeAlias = dict[str, Any]
#: What leads from version 1 to 2, from 2 to 3, and so on to today's.
Upgraders: TypeAlias = tuple[Callable[[Fields], Fields], ...]


class Message(Protocol):
    """A `msgspec.Struct` that is tagged with its version, and knows how to come from the older ones."""

    __struct_config__: ClassVar[StructConfig]
    upgraders: ClassVar[Upgraders]


M = TypeVar("M", bound=Message)

#: What msgspec, and what it calls, raise for bytes that are something else.
_REFUSALS: Final = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


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
