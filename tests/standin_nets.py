"""Stand-in nets as real ONNX files: they find what a test paints, a coloured square for each person."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from app.importers.onnx import OnnxImportOptions, import_onnx
from app.models.feed import REFERENCE_LANDMARKS, SIZE
from app.models.images import Image, encode_jpeg

__all__ = [
    "DENORMAL",
    "PEOPLE",
    "SIDE",
    "SLOTS",
    "UNKNOWN",
    "picture_of",
    "poison",
    "standin_detector",
    "standin_embedder",
    "write_standins",
]

DETECTOR, EMBEDDER = "standin", "standin-embedder"
THRESHOLD = 0.5

#: Somebody whom nobody enrols.
UNKNOWN = "stranger"
#: BGR; no two of them are alike. Magenta is kept for the poison, white for what marks a face.
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "ada": (0, 0, 255),
    "blaise": (0, 255, 0),
    "carl": (255, 0, 0),
    "dorothy": (0, 255, 255),
    "emmy": (255, 255, 0),
    "florence": (0, 128, 255),
    UNKNOWN: (255, 128, 0),
}
PEOPLE = tuple(name for name in COLOURS if name != UNKNOWN)
WHITE, BLACK, MAGENTA = (255, 255, 255), (0, 0, 0), (255, 0, 255)
#: Distance at which two colours begin to be alike; a JPEG moves one by a tenth of it.
ALIKE = 50.0
#: The last number of an embedding, after one for each colour: zero, unless the thread that ran the net
#: computed with denormals.
DENORMAL = len(COLOURS)

STRIDE = 4
#: Sides in pixels of a face, and of a picture.
FACE, SIDE = 32, 96
#: Cells, of STRIDE pixels, in which faces have their middle; so far apart that they do not touch.
SLOTS = ((5, 5), (5, 15), (15, 5), (15, 15))


def write_standins(folder: Path) -> dict[str, object]:
    """Import both nets into the weights folder `folder`, and return the settings that choose them."""
    published = folder / "published"
    published.mkdir(parents=True)
    onnx.save(standin_detector(), published / "detector.onnx")
    onnx.save(standin_embedder(), published / "embedder.onnx")
    fed: dict[str, Any] = {"colour": "BGR", "mean": 0.0, "scale": 1.0}
    finds = OnnxImportOptions(name=DETECTOR, architecture="centerface", **fed)
    embeds = OnnxImportOptions(name=EMBEDDER, kind="embedding", threshold=THRESHOLD, **fed)
    import_onnx(published / "detector.onnx", folder, finds)
    import_onnx(published / "embedder.onnx", folder, embeds)
    return {"weights_dir": folder, "detector": DETECTOR, "embedder": EMBEDDER}


def picture_of(people: Sequence[str]) -> bytes:
    """Return a JPEG that shows each of `people`, at most one for each slot, on black."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    for person, slot in zip(people, SLOTS[: len(people)], strict=True):
        _paint(image, slot, FACE, COLOURS[person])
        # A JPEG has few colours for its pixels: beside a colour, white would take something of it.
        _paint(image, slot, 3 * STRIDE, BLACK)
        _paint(image, slot, STRIDE, WHITE)
    return encode_jpeg(image)


def poison() -> bytes:
    """Return a sound JPEG on which the detector fails."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    _paint(image, SLOTS[0], FACE, MAGENTA)
    return encode_jpeg(image)


def _paint(image: Image, slot: tuple[int, int], side: int, colour: tuple[int, int, int]) -> None:
    """Paint a square around the middle of a cell."""
    top, left = (STRIDE * cell + (STRIDE - side) // 2 for cell in slot)
    image[top : top + side, left : left + side] = colour


def standin_detector() -> ModelProto:
    """Return a net in the shape of a CenterFace: there is a face, FACE pixels wide, in each white cell.

    In a magenta cell it looks up what is not there, and fails as a net does that was exported badly.
    """
    points = (REFERENCE_LANDMARKS[:, ::-1] / SIZE).reshape(1, 10, 1, 1)
    weights = {
        "sizes_are": np.full((1, 2, 1, 1), np.log(FACE / STRIDE)),
        "offsets_are": np.zeros((1, 2, 1, 1)),
        "points_are": points,
        "none": np.array(0.0),
        # The least of blue, red and what green lacks.
        "turn": np.array([1.0, -1.0, 1.0]).reshape(1, 3, 1, 1),
        "shift": np.array([0.0, 255.0, 0.0]).reshape(1, 3, 1, 1),
        "magenta": np.array(200.0),
        "rows": np.zeros(1),
    }
    nodes = [
        _node("AveragePool", ["pixels"], "cells", kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2),
        _node("Mul", ["cells", "turn"], "turned"),
        _node("Add", ["turned", "shift"], "shifted"),
        _node("ReduceMin", ["shifted"], "likeness", axes=[1]),
        _node("ReduceMax", ["likeness"], "most", keepdims=0),
        _node("Div", ["most", "magenta"], "share"),
        _node("Floor", ["share"], "poisoned"),
        _node("Cast", ["poisoned"], "row", to=TensorProto.INT64),
        _node("Gather", ["rows", "row"], "nothing"),
        _node("ReduceMin", ["cells"], "white", axes=[1]),
        *_ramp("white", "whiteness", weights, 155, 255),
        _node("Add", ["whiteness", "nothing"], "heat"),
        _node("Mul", ["heat", "none"], "zeros"),
        *(_node("Add", ["zeros", f"{name}_are"], name) for name in ("sizes", "offsets", "points")),
    ]
    maps = {"heat": 1, "sizes": 2, "offsets": 2, "points": 10}
    outputs = {name: ["batch", channels, "rows_out", "columns_out"] for name, channels in maps.items()}
    return _model(nodes, weights, ["batch", 3, "height", "width"], outputs)


def standin_embedder() -> ModelProto:
    """Return a net that says how near a face is to each of COLOURS, and whether there are denormals."""
    colours = np.array([*COLOURS.values()], float)
    weights = {
        # Above what marks the middle, and within the square.
        "from": np.array([12, 16]),
        "to": np.array([32, 96]),
        "along": np.array([2, 3]),
        "behind": np.array([1]),
        "colours": colours.reshape(1, *colours.shape),
        "narrow": np.array(-1 / (2 * ALIKE**2)),
        "one": np.array(1.0),
        "ten": np.array(10.0),
        "small": np.array(1e-20),
        "large": np.array(1e38),
    }
    nodes = [
        _node("Slice", ["pixels", "from", "to", "along"], "skin"),
        _node("ReduceMean", ["skin"], "colour", axes=[2, 3], keepdims=0),
        _node("Unsqueeze", ["colour", "behind"], "row"),
        _node("Sub", ["row", "colours"], "apart"),
        _node("Mul", ["apart", "apart"], "squares"),
        _node("ReduceSum", ["squares", "last"], "distances", keepdims=0),
        _node("Mul", ["distances", "narrow"], "exponents"),
        _node("Exp", ["exponents"], "likeness"),
        # Of the picture, or the graph would be computed once and for all when it is loaded.
        _node("ReduceMean", ["colour"], "brightness", axes=[1]),
        _node("Clip", ["brightness", "one", "ten"], "ordinary"),
        _node("Mul", ["ordinary", "small"], "tiny"),
        _node("Mul", ["tiny", "small"], "denormal"),
        _node("Mul", ["denormal", "large"], "scaled"),
        *_ramp("scaled", "left_over", weights, 0, 0.001),
        _node("Concat", ["likeness", "left_over"], "embedding", axis=1),
    ]
    weights["last"] = np.array([2])
    return _model(nodes, weights, ["batch", 3, SIZE, SIZE], {"embedding": ["batch", DENORMAL + 1]})


def _ramp(
    source: str, target: str, weights: dict[str, np.ndarray], start: float, end: float
) -> list[NodeProto]:
    """Return nodes that put out 0 up to `start`, 1 from `end` on, and what lies between in between."""
    weights |= {
        "start": np.array(float(start)),
        "length": np.array(float(end - start)),
        "least": np.array(0.0),
        "most_of_all": np.array(1.0),
    }
    return [
        _node("Sub", [source, "start"], f"{target}_above"),
        _node("Div", [f"{target}_above", "length"], f"{target}_share"),
        _node("Clip", [f"{target}_share", "least", "most_of_all"], target),
    ]


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, [*inputs], [output], **attributes)


def _model(
    nodes: Sequence[NodeProto],
    weights: Mapping[str, np.ndarray],
    pixels: Sequence[int | str],
    outputs: Mapping[str, Sequence[int | str]],
) -> ModelProto:
    """Return a net that is fed `pixels`; weights that count or choose stay whole numbers."""
    tensors = [
        numpy_helper.from_array(value.astype(np.int64 if value.dtype.kind == "i" else np.float32), name)
        for name, value in weights.items()
    ]
    described = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [*shape]) for name, shape in outputs.items()
    ]
    fed = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [*pixels])
    graph = helper.make_graph(nodes, "standin", [fed], described, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
