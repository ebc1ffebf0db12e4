"""Whether a net that was rewritten for free axes still puts out what the published one does."""

import math

import numpy as np
from onnx import ModelProto

from app.models import Floats, NetError, blob, input_dims, run_net
from app.models.runtime import Session
from app.weights import Input

__all__ = ["check_rewritten", "declared_shape"]

#: How far a number may move, relative to the largest of its output: rounding is a thousand times less.
CLOSE = 1e-3
#: Pixels that a net may want at once; bounds the memory that a hostile file can ask for.
MOST_PIXELS = 4096 * 4096


def declared_shape(model: ModelProto, height: int, width: int) -> tuple[int, int, int]:
    """Return batch, height and width that `model` takes as it is; 1 and these where it leaves them open.

    Raises:
        NetError: that is more than can be tried.
    """
    batch, _, *sides = input_dims(model)
    shape = tuple(
        said if said > 0 else default
        for said, default in zip((batch, *sides), (1, height, width), strict=True)
    )
    if math.prod(shape) > MOST_PIXELS:
        raise NetError(
            f"the input takes {shape[0]} x {shape[2]}x{shape[1]} pixels; expected at most {MOST_PIXELS:,}"
        )
    return shape[0], shape[1], shape[2]


def check_rewritten(published: Session, rewritten: Session, shape: tuple[int, int, int], feed: Input) -> None:
    """Compare what the nets put out for one picture of noise, the published one in the `shape` it declares.

    Raises:
        NetError: the rewritten one puts out something else, or one of them does not run.
    """
    batch, height, width = shape
    picture = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = run_net(published, blob([picture] * batch, feed))
    found = run_net(rewritten, blob([picture], feed))
    for name, numbers in expected.items():
        of_one = numbers[:1] if batch > 1 and len(numbers) == batch else numbers
        _check_same(name, of_one, found[name])


def _check_same(name: str, expected: Floats, found: Floats) -> None:
    about = f"its output {name!r} becomes another one when batch, height and width are made free"
    if found.shape != expected.shape:
        raise NetError(f"{about}: expected {expected.shape}, found {found.shape}")
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    if not np.allclose(found, expected, rtol=0, atol=CLOSE * largest, equal_nan=True):
        apart = np.abs(found - expected).max() / max(largest, np.finfo(np.float32).tiny)
        raise NetError(f"{about}: expected the same numbers, found some {apart:.2g} of the largest away")
