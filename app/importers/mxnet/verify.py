"""The comparison of an imported net with what MXNet makes of its checkpoint."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.importers.mxnet.check import run_parts
from app.importers.mxnet.convert import Conversion
from app.importers.mxnet.errors import CheckpointError
from app.importers.mxnet.importer import SCHEME, Stage, read_stages
from app.importers.mxnet.oracle import Oracle, cut_graph
from app.models import Floats
from app.weights import DetectorEntry, EmbedderEntry, Entry

__all__ = ["LIMIT", "Difference", "compare", "is_imported"]

#: Of the largest output; the farthest that rounding has been seen to go is a tenth of it.
LIMIT = 1e-4


@dataclass(frozen=True, slots=True)
class Difference:
    """How far an output is from MXNet's, relative to the largest number in it."""

    output: str
    relative: float


def is_imported(entry: Entry) -> bool:
    """Tell whether `entry` was made from an MXNet checkpoint."""
    return entry.source.startswith(SCHEME)


def compare(entry: Entry, folder: Path, oracle: Oracle) -> Iterator[Difference]:
    """Yield the difference of each output of the imported `entry`, for one random image.

    Raises:
        CheckpointError: the checkpoint is gone, or is no longer the one that was imported.
        OracleError: MXNet does not run it.
    """
    prefix, _, epoch = entry.source.removeprefix(SCHEME).rpartition("@")
    stages = read_stages(Path(prefix), int(epoch))
    if tuple(origin for stage in stages for origin in stage.origins()) != entry.made_from:
        raise CheckpointError(f"{entry.name}: {prefix} is no longer the checkpoint that was imported")
    files = iter(folder / file.name for file in entry.files)
    for stage in stages:
        _, conversion = stage.convert()
        paths = [next(files) for _ in conversion.parts]
        known = run_parts(conversion, paths, _image(entry, conversion))
        yield from _differences(known, _asked(stage, conversion, known, oracle))


def _image(entry: Entry, conversion: Conversion) -> Floats:
    """Return noise, as the net of `entry` is fed it."""
    if not isinstance(entry, DetectorEntry | EmbedderEntry):
        raise CheckpointError(f"{entry.name} is no net")
    noise = np.random.default_rng(1).uniform(0, 255, conversion.parts[0].inputs[0].shape)
    return ((noise - entry.input.mean) * entry.input.scale).astype(np.float32)


def _asked(
    stage: Stage, conversion: Conversion, known: dict[str, Floats], oracle: Oracle
) -> dict[str, Floats]:
    """Return what MXNet puts out for the same image, and the same regions where the net has two stages."""
    graph = stage.graph
    pixels = conversion.parts[0].inputs[0].name
    inputs = {pixels: known[pixels]}
    if conversion.proposal:
        regions = conversion.parts[-1].inputs[-1].name
        proposal = regions.removesuffix("_output")
        inputs[proposal] = known[regions]
        outputs = [output.name for part in conversion.parts for output in part.outputs]
        graph = cut_graph(graph, proposal, [name.removesuffix("_output") for name in outputs])
    return oracle.ask(graph, stage.paths[1], inputs).outputs


def _differences(found: dict[str, Floats], asked: dict[str, Floats]) -> Iterator[Difference]:
    for name, expected in asked.items():
        largest = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
        yield Difference(name, float(np.abs(found[name] - expected).max()) / largest)
