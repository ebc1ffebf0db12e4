"""MXNet 1.9.1 as the oracle that imports are held against: in its own virtual environment and process.

It is never loaded beside onnxruntime, which it slows down threefold, nor can it be: it needs numpy before
1.24, and Python up to 3.11.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import OnlookerError
from app.models import Floats
from app.progress import Progress, Task

__all__ = ["REQUIREMENTS", "Answer", "Oracle", "OracleError", "cut_graph", "prepare_oracle"]

#: What the extra `mxnet` of setup.cfg names too.
REQUIREMENTS = ("mxnet==1.9.1", "numpy==1.23.5")
PYTHON = (3, 11)
SCRIPT = Path(__file__).with_name("oracle_process.py")
#: Seconds for an installation, and for one run.
PATIENCE = 900.0


class OracleError(OnlookerError):
    """MXNet cannot be had, or cannot run a checkpoint."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What MXNet put out, by name, and the milliseconds of each further round."""

    outputs: dict[str, Floats]
    milliseconds: Sequence[float]


class Oracle:
    """Runs checkpoints in MXNet, each in a process of its own."""

    def __init__(self, python: Path) -> None:
        """Set up for the interpreter `python`, which must have MXNet."""
        self._python = python

    def ask(
        self,
        graph: bytes,
        parameters: Path,
        inputs: Mapping[str, Floats],
        *,
        rounds: int = 0,
        threads: int = 1,
    ) -> Answer:
        """Run the net `graph` with `parameters` on `inputs`, once and then so many `rounds` by the clock.

        Raises:
            OracleError: MXNet does not run it; the text is the last line of what it said.
        """
        with tempfile.TemporaryDirectory(prefix="onlooker-mxnet-") as folder:
            symbol, request, answer = (Path(folder) / name for name in ("graph.json", "in.npz", "out.npz"))
            symbol.write_bytes(graph)
            arrays: dict[str, Any] = dict(inputs)
            np.savez(request, **arrays)
            files = [symbol, parameters, request, answer]
            command = [self._python, "-I", SCRIPT, *files, rounds]
            _run([str(word) for word in command], "mxnet cannot run the checkpoint", threads)
            with np.load(answer, allow_pickle=False) as found:
                names = [str(name) for name in found["names"]]
                outputs = {name: found[str(index)] for index, name in enumerate(names)}
                return Answer(outputs, found["milliseconds"].tolist())


def prepare_oracle(data_dir: Path, progress: Progress) -> Oracle:
    """Return MXNet, in `data_dir`/mxnet-venv, installed there first where it is not.

    Raises:
        OracleError: it cannot be installed, or does not run on this machine.
    """
    folder = data_dir / "mxnet-venv"
    python, ready = folder / "bin" / "python", folder / "onlooker-ready"
    wanted = "\n".join(REQUIREMENTS)
    if not ready.is_file() or ready.read_text(encoding="utf-8") != wanted:
        base = _python()
        with Task(progress, f"installing MXNet into {folder}"):
            try:
                data_dir.mkdir(parents=True, exist_ok=True)
                _install(base, folder)
                ready.write_text(wanted, encoding="utf-8")
            except OSError as error:
                raise OracleError(f"cannot write to {folder}: {error.strerror}") from None
    return Oracle(python)


def cut_graph(graph: bytes, proposal: str, outputs: Sequence[str]) -> bytes:
    """Return `graph` with the regions of the node `proposal` as an input, putting out the nodes `outputs`.

    The operator is written in Python and was never part of MXNet.
    """
    raw = json.loads(graph)
    numbers = {node["name"]: number for number, node in enumerate(raw["nodes"])}
    cut = numbers[proposal]
    raw["nodes"][cut] = {"op": "null", "name": proposal, "inputs": []}
    raw["arg_nodes"] = sorted({*raw.get("arg_nodes", []), cut})
    raw["heads"] = [[numbers[name], 0] for name in outputs]
    return json.dumps(raw).encode()


def _install(base: str, folder: Path) -> None:
    python = str(folder / "bin" / "python")
    _run([base, "-m", "venv", "--clear", str(folder)], "cannot make a virtual environment for mxnet")
    pip = [python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", *REQUIREMENTS]
    _run(pip, "mxnet cannot be installed")
    # Its libraries are looked for only now: libquadmath0 is one that the wheel does not bring.
    _run([python, "-I", "-c", "import mxnet"], "mxnet is installed but does not run here")


def _python() -> str:
    """Return the command of a Python that MXNet runs on."""
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    name = ".".join(str(number) for number in PYTHON)
    found = shutil.which(f"python{name}")
    if found is None:
        raise OracleError(f"mxnet needs Python {name}, which is not on this machine as python{name}")
    return found


def _run(command: list[str], failure: str, threads: int = 1) -> None:
    # With its graph rewriting for oneDNN, MXNet 1.9.1 fails in the second run of a MobileFaceNet.
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MXNET_SUBGRAPH_BACKEND": "NONE"}
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE, env=environment)
    except subprocess.CalledProcessError as error:
        raise OracleError(f"{failure}: {_last_line(error.stderr)}") from None
    except subprocess.TimeoutExpired:
        raise OracleError(f"{failure}: not within {PATIENCE:.0f} seconds") from None
    except OSError as error:
        raise OracleError(f"{failure}: {error.strerror}") from None


def _last_line(text: str) -> str:
    """Return the last line that tells of an error; what follows it in MXNet's tells only where."""
    lines = [" ".join(line.split())[:300] for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line]
    return (telling or lines or ["it said nothing"])[-1]
