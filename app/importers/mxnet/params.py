"""The reader of `.params` files: every version of MXNet's list of arrays, taken from untrusted hands.

The format holds no code, only lengths and numbers. Every length is held against what is left of the file
before anything is made from it, and the arrays are views of the file's own bytes, so that no file can ask
for more memory than it has itself.
"""

import math
import struct

import numpy as np
from numpy.typing import NDArray

from app.importers.mxnet.errors import CheckpointError

__all__ = ["Parameters", "read_params"]

#: Arrays by name, `arg:` or `aux:` first, read-only.
Parameters = dict[str, NDArray[np.generic]]

LIST_MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
DTYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8"}
DENSE = 0
#: More axes than any array of a net has; numpy's own limit is 64.
MOST_AXES = 16
#: The least that an array takes: one axis of the oldest format, without data.
LEAST_ARRAY = 20
LONGEST_NAME = 1024


def read_params(data: bytes) -> Parameters:
    """Return the arrays of the `.params` file whose content is `data`.

    Versions 1, 2 and 3 of the array format, and the oldest one, which has none; little-endian.

    Raises:
        CheckpointError: it is no such file, truncated, sparse, or not what it says; names the byte.
    """
    reader = _Reader(data)
    if reader.u64("the file's magic number") != LIST_MAGIC:
        raise CheckpointError("no MXNet parameters: expected the magic number 0x112 at byte 0")
    if reader.u64("the reserved word") != 0:
        raise CheckpointError("no MXNet parameters: expected 0 at byte 8")
    arrays = [_array(reader, index) for index in range(reader.count(LEAST_ARRAY, "arrays"))]
    start = reader.at
    count = reader.count(8, "names")
    if count != len(arrays):
        raise CheckpointError(f"expected {len(arrays)} names at byte {start}, found {count}")
    parameters: Parameters = {}
    for array in arrays:
        parameters[_name(reader, parameters)] = array
    if reader.left:
        raise CheckpointError(f"expected the end of the file at byte {reader.at}, found {reader.left} more")
    return parameters


class _Reader:
    """Takes numbers and bytes off the front of a file; `at` is the offset of the next one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self.at

    def take(self, size: int, what: str) -> int:
        """Step over `size` bytes and return where they start."""
        if size > self.left:
            raise CheckpointError(
                f"truncated at byte {self.at}: {what} takes {size} bytes, {self.left} are left"
            )
        start = self.at
        self.at += size
        return start

    def unpack(self, layout: str, what: str) -> tuple[int, ...]:
        return struct.unpack_from(layout, self._data, self.take(struct.calcsize(layout), what))

    def u64(self, what: str) -> int:
        return self.unpack("<Q", what)[0]

    def count(self, least: int, what: str) -> int:
        """Return a number of things of at least `least` bytes each."""
        start = self.at
        count = self.u64(f"the number of {what}")
        if count > self.left // least:
            raise CheckpointError(f"{count} {what} announced at byte {start}, {self.left} bytes are left")
        return count

    def text(self, size: int, what: str) -> str:
        start = self.take(size, what)
        try:
            return self._data[start : start + size].decode("utf-8")
        except UnicodeDecodeError:
            raise CheckpointError(f"{what} at byte {start} is not UTF-8") from None

    def array(self, dtype: str, shape: tuple[int, ...], what: str) -> NDArray[np.generic]:
        kind = np.dtype(dtype)
        size = math.prod(shape)
        start = self.take(size * kind.itemsize, what)
        return np.frombuffer(self._data, kind, size, start).reshape(shape)


def _array(reader: _Reader, index: int) -> NDArray[np.generic]:
    start, what = reader.at, f"array {index}"
    (magic,) = reader.unpack("<I", what)
    if magic in (V2, V3):
        (storage,) = reader.unpack("<i", f"the storage type of {what}")
        if storage != DENSE:
            raise CheckpointError(
                f"{what} at byte {start} is sparse (storage type {storage}); expected dense"
            )
    if magic in (V1, V2, V3):
        (axes,) = reader.unpack("<i", f"the number of axes of {what}")
        unit = "q"
    else:
        # The oldest files have no magic number: the number of axes stands in its place.
        axes, unit = magic, "I"
    shape = _shape(reader, axes, unit, f"{what} at byte {start}", scalar=magic == V3)
    _, _, code = reader.unpack("<iii", f"the device and type of {what}")
    if code not in DTYPES:
        raise CheckpointError(f"{what} at byte {start} has the unknown type {code}")
    return reader.array(DTYPES[code], shape, f"the data of {what}")


def _shape(reader: _Reader, axes: int, unit: str, what: str, *, scalar: bool) -> tuple[int, ...]:
    """Read the shape; without axes an array is a number in version 3 and was never filled in the others."""
    if not (0 if scalar else 1) <= axes <= MOST_AXES:
        raise CheckpointError(f"{what} has {axes} axes; expected 1 to {MOST_AXES}")
    shape = reader.unpack(f"<{axes}{unit}", f"the shape of {what}")
    if any(size < 1 for size in shape):
        raise CheckpointError(f"{what} has the impossible shape {shape}")
    return shape


def _name(reader: _Reader, known: Parameters) -> str:
    start, what = reader.at, f"name {len(known)}"
    size = reader.u64(what)
    if size > LONGEST_NAME:
        raise CheckpointError(f"{what} at byte {start} is {size} bytes long; at most {LONGEST_NAME}")
    name = reader.text(size, what)
    if not name.startswith(("arg:", "aux:")):
        raise CheckpointError(f"{what} at byte {start} is {name!r}; expected arg: or aux: first")
    if name in known:
        raise CheckpointError(f"{what} at byte {start} is {name!r} for the second time")
    return name
