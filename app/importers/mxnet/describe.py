"""What a converted net is: detector or embedder, how its output is read, and what it is fed."""

from collections.abc import Sequence
from typing import Any

from app.importers.installation import ImportOptions
from app.importers.mxnet.convert import Conversion
from app.importers.mxnet.errors import CheckpointError
from app.importers.mxnet.symbol import Symbol
from app.models import SIZE
from app.weights import Input

__all__ = ["describe"]

#: Embedders have more outputs than a net of a cascade, which has a handful.
LEAST_DIMENSION = 32
UNKNOWN = "unknown"
#: What nets were trained on that do not bring it to their range themselves.
CENTRED = (127.5, 0.0078125)
UNCHANGED = (0.0, 1.0)


def describe(
    symbols: Sequence[Symbol], conversions: Sequence[Conversion], options: ImportOptions
) -> dict[str, Any]:
    """Return the keys of a catalogue entry that follow from the graphs and from `options`.

    Raises:
        CheckpointError: the graphs cannot be what is asked for, or take no images of three colours.
    """
    channels = conversions[0].parts[0].inputs[0].shape[1]
    if channels != 3:
        raise CheckpointError(f"the net takes {channels} channels; expected the 3 of red, green and blue")
    embeds = _embeds(conversions) if options.kind is None else options.kind == "embedding"
    if embeds:
        architecture, found = "", _embedder(conversions)
    else:
        architecture = _architecture(conversions)
        found = {"kind": "detector", "architecture": architecture}
    mean, scale = _range(symbols[0], conversions[0], embeds, architecture)
    # MTCNN was trained on images as OpenCV reads them.
    default = Input("BGR" if architecture == "mtcnn" else "RGB", mean, scale)
    return {**found, "input": options.fed(default)}


def _embeds(conversions: Sequence[Conversion]) -> bool:
    """Tell whether the only output is a long vector for each image."""
    outputs = conversions[0].parts[-1].outputs
    alone = len(conversions) == len(conversions[0].parts) == len(outputs) == 1
    return alone and len(outputs[0].shape) == 2 and outputs[0].shape[1] >= LEAST_DIMENSION


def _embedder(conversions: Sequence[Conversion]) -> dict[str, Any]:
    outputs = conversions[0].parts[-1].outputs
    if len(conversions) > 1 or len(outputs) != 1 or len(outputs[0].shape) != 2:
        shapes = ", ".join(str(output.shape) for output in outputs)
        raise CheckpointError(f"no embedder: expected one vector for each image, found {shapes}")
    size = conversions[0].size or (SIZE, SIZE)
    if size != (SIZE, SIZE):
        raise CheckpointError(f"the embedder takes {size[0]}x{size[1]} pixels; expected {SIZE}x{SIZE}")
    return {"kind": "embedder", "size": SIZE, "dimension": outputs[0].shape[1]}


def _architecture(conversions: Sequence[Conversion]) -> str:
    """Return the name under which a detector reads these outputs."""
    if conversions[0].proposal:
        return "fr50"
    if len(conversions) > 1:
        return "mtcnn"
    names = [output.name for output in conversions[0].parts[0].outputs]
    return "retinaface" if all(name.startswith("face_rpn_") for name in names) else UNKNOWN


def _range(symbol: Symbol, conversion: Conversion, embeds: bool, architecture: str) -> tuple[float, float]:
    """Return mean and scale: none where the graph itself starts with them."""
    pixels = conversion.parts[0].inputs[0].name
    current = next(node.index for node in symbol.nodes if node.name == pixels)
    for node in symbol.ancestors(symbol.heads):
        if node.inputs[:1] != (current,):
            continue
        if node.op in ("_copy", "identity"):
            current = node.index
        elif node.op in ("_minus_scalar", "_mul_scalar", "_div_scalar", "BatchNorm"):
            return UNCHANGED
        else:
            break
    return CENTRED if embeds or architecture == "mtcnn" else UNCHANGED
