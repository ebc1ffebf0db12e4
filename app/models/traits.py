"""What an embedder is, told by running it: the length of its vectors, and whether it takes several faces."""

from dataclasses import dataclass

import numpy as np

from app.errors import one_line
from app.models.alignment import SIZE
from app.models.arrays import Floats
from app.models.feed import blob
from app.models.onnx_file import NetError
from app.models.runtime.session import Session
from app.weights import Input

__all__ = ["EmbedderTraits", "measure_traits", "run_net"]

#: How far a face's numbers may move, relative to the largest, when others are in the same run. Devices that
#: compute with fewer digits stay below; a face that got another one's numbers does not.
CLOSE = 1e-2
#: What is nearer than this, relative to the largest number, is the same for every picture.
SAME = 1e-6


@dataclass(frozen=True, slots=True)
class EmbedderTraits:
    """The length of an embedder's vectors, and whether it takes several faces in one run."""

    dimension: int
    batches: bool


def measure_traits(session: Session, feed: Input) -> EmbedderTraits:
    """Run the embedder `session` on one and on two pictures.

    Raises:
        NetError: it does not run, or does not put out one vector of finite numbers for each face.
    """
    # Two pictures that are far from each other: noise, and a slope from dark to bright.
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    slope = np.broadcast_to(np.linspace(0, 255, SIZE).astype(np.uint8)[:, None, None], noise.shape)
    alone = _first(session, blob([noise], feed))
    other = _first(session, blob([np.ascontiguousarray(slope)], feed))
    lengths = [length for length in alone.shape[1:] if length > 1]
    if len(alone) != 1 or len(lengths) != 1:
        raise NetError(f"no embedder: expected one vector for each image, found {alone.shape}")
    if not np.isfinite(alone).all():
        raise NetError("no embedder: what it puts out for a random image is not finite")
    if np.allclose(alone, other, rtol=0, atol=SAME * np.abs(alone).max()):
        raise NetError("no embedder: it puts out the same for two pictures; are mean and scale right?")
    return EmbedderTraits(
        lengths[0], _batches(session, blob([np.ascontiguousarray(slope), noise], feed), alone)
    )


def _batches(session: Session, both: Floats, alone: Floats) -> bool:
    """Tell whether the second picture of `both` gets the numbers that it gets alone."""
    try:
        found = _first(session, both)
    except NetError:
        return False
    if found.shape != (2, *alone.shape[1:]):
        return False
    return bool(np.abs(found[1] - alone[0]).max() <= CLOSE * np.abs(alone).max())


def run_net(session: Session, pixels: Floats) -> dict[str, Floats]:
    """Return the outputs of `session` for `pixels`, (N, 3, H, W), by their names, or raise NetError."""
    try:
        found = session.run(None, {session.inputs[0]: pixels})
    except Exception as error:
        # The exceptions of onnxruntime have no base of their own.
        size = f"{pixels.shape[3]}x{pixels.shape[2]}"
        raise NetError(f"it does not run on {size} pixels: {one_line(error)}") from None
    return dict(zip(session.outputs, found, strict=True))


def _first(session: Session, pixels: Floats) -> Floats:
    return next(iter(run_net(session, pixels).values()))
