"""The check of what an import has made: ONNX's own, shape inference, and one run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from app.errors import one_line
from app.importers.mxnet.convert import Conversion, Part
from app.importers.mxnet.errors import CheckpointError
from app.models import Floats
from app.models.detection import proposals_of
from app.models.runtime import Runtime

__all__ = ["run_parts", "self_check"]


def self_check(conversion: Conversion, paths: Sequence[Path]) -> None:
    """Check the graphs in the files `paths`, and run them on a random image.

    Raises:
        CheckpointError: a graph is not valid, does not run, or puts out something else than it should.
    """
    try:
        for path in paths:
            onnx.checker.check_model(str(path), full_check=True)
        image = np.random.default_rng(0).uniform(0, 255, conversion.parts[0].inputs[0].shape)
        outputs = run_parts(conversion, paths, image.astype(np.float32))
    except CheckpointError:
        raise
    except Exception as error:
        # The exceptions of onnx and onnxruntime have no base of their own.
        raise CheckpointError(f"self-check: {one_line(error)}") from None
    for part in conversion.parts:
        _check_outputs(part, outputs)


def run_parts(conversion: Conversion, paths: Sequence[Path], image: Floats) -> dict[str, Floats]:
    """Return everything that the graphs in `paths` put out for `image`, (1, 3, H, W), and the regions."""
    known = {conversion.parts[0].inputs[0].name: image}
    for part, path in zip(conversion.parts, paths, strict=True):
        session = Runtime().load(path)
        if part.role == "head":
            regions = part.inputs[-1].name
            known[regions] = _regions(conversion, known, image)
        names = [output.name for output in part.outputs]
        inputs = {tensor.name: known[tensor.name] for tensor in part.inputs}
        known.update(zip(names, session.run(names, inputs), strict=True))
    return known


def _regions(conversion: Conversion, known: dict[str, Floats], image: Floats) -> Floats:
    """Return the regions of `image`; a single one, all of it, where the net proposes none."""
    scores, deltas = (known[output.name] for output in conversion.parts[0].outputs[:2])
    height, width = image.shape[2:]
    proposals = proposals_of(conversion.proposal)
    expected = 2 * len(proposals.scales) * len(proposals.ratios)
    if scores.shape[1] != expected or deltas.shape[1] != 2 * expected:
        raise CheckpointError(
            f"proposals: expected {expected} scores and {2 * expected} deltas at each place,"
            f" found {scores.shape[1]} and {deltas.shape[1]}"
        )
    found = proposals(scores, deltas, height, width, 1)
    whole = np.array([[0, 0, 0, width - 1, height - 1]], np.float32)
    return found if len(found) else whole


def _check_outputs(part: Part, outputs: dict[str, Floats]) -> None:
    for tensor in part.outputs:
        found = outputs[tensor.name]
        # How many regions there are is not known beforehand.
        if part.role != "head" and found.shape != tensor.shape:
            raise CheckpointError(f"self-check: {tensor.name}: expected {tensor.shape}, found {found.shape}")
        if not np.isfinite(found).all():
            raise CheckpointError(f"self-check: {tensor.name} is not finite for a random image")
