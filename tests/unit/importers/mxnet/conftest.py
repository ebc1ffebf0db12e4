"""Real checkpoints, and the two whose weights are drawn from a seed."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.importers.mxnet import Conversion, Parameters, Symbol, convert, read_params, read_symbol


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on the disk, the file of MXNet's own outputs, and how near to them ours must be."""

    prefix: Path
    epoch: int
    golden: Path
    close: float

    @property
    def symbol(self) -> Symbol:
        return read_symbol(Path(f"{self.prefix}-symbol.json").read_bytes())

    @property
    def parameters(self) -> Parameters:
        return read_params(Path(f"{self.prefix}-{self.epoch:04d}.params").read_bytes())

    def convert(self) -> Conversion:
        return convert(self.symbol, self.parameters)


#: Golden file -> prefix and epoch of a checkpoint with real weights.
REAL = {
    "mobilefacenet-y1": ("mobilefacenet-y1/model", 0),
    "mobileface-v2": ("mobileface-v2/model", 0),
    "mobileface-v3": ("mobileface-v3/model", 0),
    "mtcnn-det1": ("mtcnn/det1", 1),
    "mtcnn-det2": ("mtcnn/det2", 1),
    "mtcnn-det3": ("mtcnn/det3", 1),
    "retinaface-mobile": ("retinaface-mobile/16and32", 0),
}
SEEDED = {"lresnet50e-ir": "model", "fr50": "fr50"}


@pytest.fixture(scope="session")
def checkpoint(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkpoint]:
    """Return what finds the checkpoint of a golden file; seeded weights are drawn when first asked for."""
    folder = shared_data / "mxnet"
    drawn: dict[str, Path] = {}

    def find(name: str) -> Checkpoint:
        golden = folder / "golden" / f"{name}.npz"
        if name in REAL:
            prefix, epoch = REAL[name]
            return Checkpoint(folder / prefix, epoch, golden, 1e-5)
        if name not in drawn:
            drawn[name] = tmp_path_factory.mktemp(name)
            command = [sys.executable, str(folder / "seeded_checkpoint.py"), name, str(drawn[name])]
            subprocess.run(command, check=True)
        return Checkpoint(drawn[name] / SEEDED[name], 0, golden, 1e-4)

    return find
