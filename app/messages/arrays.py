"""Arrays in messages: their type, their shape and their little-endian bytes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "check_array", "from_array", "to_array"]

Array = NDArray[Any]

_TYPES = {"<f4", "<f2", "|u1"}


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
