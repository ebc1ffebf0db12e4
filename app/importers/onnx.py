"""The import of an ONNX file that somebody brings: checked, told what it is, put into the local catalogue."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from app.errors import OnlookerError, one_line
from app.importers.compare import check_rewritten, declared_shape
from app.importers.installation import (
    ImportOptions,
    InstallationError,
    choose_name,
    describe_files,
    import_folder,
    install,
    origin_of,
)
from app.models import SIZE, NetError, check_net, check_sides, inputs_of, measure_traits, read_net, run_net
from app.models.detection import ARCHITECTURES, load_detector
from app.models.runtime import Runtime, Session
from app.weights import DetectorEntry, Entry, Input, read_entry

__all__ = ["SCHEME", "OnnxImportOptions", "import_onnx", "tell_architecture"]

SCHEME = "user"
#: An embedder puts out its vector, and perhaps the length of that; detectors put out more.
MOST_OUTPUTS = 2
#: What nets are fed that do not bring pixels to their range themselves, as InsightFace trains them.
CENTRED = Input("RGB", 127.5, 1 / 127.5)
UNCHANGED = Input("RGB", 0.0, 1.0)
DETECTORS = {"scrfd": Input("RGB", 127.5, 1 / 128), "yunet": Input("BGR", 0.0, 1.0)}
ARITHMETIC = {"Sub", "Mul", "Div", "Add", "BatchNormalization"}
#: Numbers at each place, output by output, in any order: score, box, and five points.
SCRFD = ([1, 1, 1, 4, 4, 4], [1, 1, 1, 4, 4, 4, 10, 10, 10])
#: Heat map, size, offset, and five points.
CENTERFACE = [1, 2, 2, 10]
#: Height and width of the picture that a detector is tried on; nets are fed multiples of 32.
TRIED = (256, 320)


@dataclass(frozen=True, slots=True)
class OnnxImportOptions(ImportOptions):
    """What a person says about a net in an ONNX file."""

    architecture: str | None = None
    threshold: float | None = None


def import_onnx(path: Path, folder: Path, options: OnnxImportOptions) -> Entry:
    """Copy the net in `path` into `folder` as it is, and return its entry in the catalogue.

    Raises:
        OnlookerError: it is no net that can be used, or its name is taken; nothing is left behind.
    """
    name = choose_name(options, path.stem, SCHEME, folder)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InstallationError(f"cannot read {path}: {error.strerror}") from None
    with import_folder(folder) as work:
        copy = work / f"{name}.onnx"
        copy.write_bytes(data)
        table = {
            "title": f"{name}, imported from ONNX",
            "source": SCHEME,
            "homepage": "",
            "licence": options.licence,
            "made_from": [origin_of(path.name, data)],
            "files": describe_files([copy]),
        }
        try:
            table |= _describe(copy, options)
            _try(read_entry(name, table), work)
        except NetError as error:
            raise InstallationError(f"{path.name}: {error}") from None
        return install([copy], name, table, folder, work)


def tell_architecture(outputs: dict[str, tuple[int, ...]]) -> str | None:
    """Return the name under which a detector reads `outputs`, the shapes for one image by their names."""
    if {"cls_8", "obj_8", "bbox_8", "kps_8"} <= set(outputs):
        return "yunet"
    if outputs and all(name.startswith("face_rpn_") for name in outputs):
        return "retinaface"
    if all(len(shape) == 4 for shape in outputs.values()):
        return "centerface" if sorted(shape[1] for shape in outputs.values()) == CENTERFACE else None
    places = sorted(shape[-1] for shape in outputs.values() if shape)
    return "scrfd" if places in SCRFD else None


def _describe(path: Path, options: OnnxImportOptions) -> dict[str, Any]:
    """Return the keys of a catalogue entry that follow from the net and from `options`."""
    model = read_net(path)
    check_net(model)
    centred = UNCHANGED if _starts_with_arithmetic(model) else CENTRED
    embeds = options.kind == "embedding" if options.kind else _embeds(model, options)
    if embeds:
        check_sides(model)
    shape = declared_shape(model, *((SIZE, SIZE) if embeds else TRIED))
    published = Runtime().session(model)
    session = Runtime().load(model)
    found = _embedder(session, options.fed(centred), options) if embeds else _detector(session, options)
    check_rewritten(published, session, shape, found["input"])
    return found


def _embeds(model: ModelProto, options: OnnxImportOptions) -> bool:
    return options.architecture is None and len(model.graph.output) <= MOST_OUTPUTS


def _embedder(session: Session, feed: Input, options: OnnxImportOptions) -> dict[str, Any]:
    if options.architecture is not None:
        raise NetError("--architecture says how a detector is read; this is an embedder")
    found = {
        "kind": "embedder",
        "size": SIZE,
        "dimension": measure_traits(session, feed).dimension,
        "input": feed,
    }
    return found if options.threshold is None else {**found, "threshold": options.threshold}


def _detector(session: Session, options: OnnxImportOptions) -> dict[str, Any]:
    if options.threshold is not None:
        raise NetError("--threshold is for embedders; this is a detector")
    known = ", ".join(ARCHITECTURES)
    outputs = run_net(session, np.zeros((1, 3, *TRIED), np.float32))
    shapes = {name: output.shape for name, output in outputs.items()}
    architecture = options.architecture or tell_architecture(shapes)
    if architecture is None:
        raise NetError(f"cannot tell from its outputs how the detector is read; say --architecture: {known}")
    if architecture not in ARCHITECTURES:
        raise NetError(f"unknown architecture {architecture!r}; known: {known}")
    feed = options.fed(DETECTORS.get(architecture, UNCHANGED))
    return {"kind": "detector", "architecture": architecture, "input": feed}


def _try(entry: Entry, folder: Path) -> None:
    """Let the detector of `entry` look at a picture; an embedder was tried when it was described."""
    if not isinstance(entry, DetectorEntry):
        return
    picture = np.random.default_rng(0).integers(0, 256, (*TRIED, 3), dtype=np.uint8)
    try:
        load_detector(entry, folder, Runtime(), side=max(TRIED), score=0.5).detect(picture)
    except OnlookerError:
        raise
    except Exception as error:
        # Whatever a decoder stumbles over when it is given another net's outputs.
        raise NetError(f"cannot be read as {entry.architecture}: {one_line(error)}") from None


def _starts_with_arithmetic(model: ModelProto) -> bool:
    """Tell whether the net brings pixels to its range itself, as those made with MXNet do."""
    (pixels,) = (value.name for value in inputs_of(model.graph))
    return any(node.op_type in ARITHMETIC for node in model.graph.node if pixels in node.input)
