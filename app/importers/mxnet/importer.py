"""The import of a checkpoint: from its two files to ONNX and an entry in the local catalogue."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx

from app.importers.installation import (
    ImportOptions,
    choose_name,
    describe_files,
    import_folder,
    install,
    origin_of,
)
from app.importers.mxnet.check import self_check
from app.importers.mxnet.convert import Conversion, convert
from app.importers.mxnet.describe import describe
from app.importers.mxnet.errors import CheckpointError
from app.importers.mxnet.params import read_params
from app.importers.mxnet.symbol import Symbol, read_symbol
from app.weights import Entry, Origin

__all__ = ["SCHEME", "Stage", "import_checkpoint", "read_stages"]

SCHEME = "mxnet:"
#: Names of files that say nothing about the net; the folder's is taken then.
ANYONE = {"model", "net", "det", "checkpoint"}
#: Nets of one cascade.
MOST_STAGES = 3


@dataclass(frozen=True, slots=True)
class Stage:
    """One checkpoint: what its two files hold."""

    prefix: Path
    epoch: int
    graph: bytes
    parameters: bytes

    @property
    def paths(self) -> tuple[Path, Path]:
        """The two files."""
        return _paths(self.prefix, self.epoch)

    def convert(self) -> tuple[Symbol, Conversion]:
        """Return the graph as it was and as it is now; errors name the file."""
        for_graph, for_parameters = (path.name for path in self.paths)
        with _about(for_parameters):
            parameters = read_params(self.parameters)
        with _about(for_graph):
            symbol = read_symbol(self.graph)
            return symbol, convert(symbol, parameters)

    def origins(self) -> list[Origin]:
        """Describe the two files."""
        graph, parameters = self.paths
        return [origin_of(graph.name, self.graph), origin_of(parameters.name, self.parameters)]


def import_checkpoint(prefix: Path, epoch: int, folder: Path, options: ImportOptions) -> Entry:
    """Convert the checkpoint, check the result, put it into `folder` and return its entry in the catalogue.

    PREFIX1, PREFIX2 and PREFIX3 are imported as one cascade where there is no PREFIX itself.

    Raises:
        CheckpointError: it cannot be read or converted; nothing is left behind.
        OnlookerError: the name is taken, or the folder cannot be written.
    """
    default = prefix.name if prefix.name not in ANYONE else prefix.resolve().parent.name
    name = choose_name(options, default, SCHEME, folder)
    stages = read_stages(prefix, epoch)
    symbols, conversions = zip(*(stage.convert() for stage in stages), strict=True)
    entry_table = describe(symbols, conversions, options)
    with import_folder(folder) as work:
        files = _write(work, name, conversions)
        table = {
            **entry_table,
            "title": f"{name}, imported from MXNet",
            "source": f"{SCHEME}{prefix.resolve()}@{epoch}",
            "homepage": "",
            "licence": options.licence,
            "made_from": [origin for stage in stages for origin in stage.origins()],
            "files": describe_files(files),
        }
        return install(files, name, table, folder, work)


def read_stages(prefix: Path, epoch: int) -> list[Stage]:
    """Read the files of a checkpoint, or of those of a cascade.

    Raises:
        CheckpointError: a file is missing.
    """
    prefixes = [prefix]
    if not _paths(prefix, epoch)[0].is_file():
        numbered = [prefix.with_name(f"{prefix.name}{number}") for number in range(1, MOST_STAGES + 1)]
        prefixes = [stage for stage in numbered if _paths(stage, epoch)[0].is_file()] or prefixes
    return [_stage(stage, epoch) for stage in prefixes]


def _stage(prefix: Path, epoch: int) -> Stage:
    graph, parameters = (_read(path) for path in _paths(prefix, epoch))
    return Stage(prefix, epoch, graph, parameters)


def _paths(prefix: Path, epoch: int) -> tuple[Path, Path]:
    names = (f"{prefix.name}-symbol.json", f"{prefix.name}-{epoch:04d}.params")
    return prefix.parent / names[0], prefix.parent / names[1]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None


@contextmanager
def _about(file: str) -> Iterator[None]:
    """Put the name of the file before what is wrong with it."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error}") from None


def _write(work: Path, name: str, conversions: Sequence[Conversion]) -> list[Path]:
    """Write and check every graph; the first file is the one that finds the others."""
    written = []
    for number, conversion in enumerate(conversions, start=1):
        stage = f"-{number}" if len(conversions) > 1 else ""
        paths = [
            work / f"{name}{stage}{'' if part.role == 'net' else f'-{part.role}'}.onnx"
            for part in conversion.parts
        ]
        for path, model in zip(paths, conversion.models, strict=True):
            onnx.save(model, path)
        self_check(conversion, paths)
        written += paths
    return written
