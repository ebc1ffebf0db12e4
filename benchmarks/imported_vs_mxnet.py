"""An imported MobileFaceNet in Onlooker against MXNet 1.9.1 on the same checkpoint, one thread, face by face.

MXNet runs in its own virtual environment and process; the two take turns.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from _report import Figure, not_run, report, run_alone

from app.importers.mxnet import ImportOptions, import_checkpoint
from app.importers.mxnet.importer import read_stages
from app.importers.mxnet.oracle import prepare_oracle
from app.models.embedding import load_embedder
from app.models.feed import blob
from app.models.runtime.session import Runtime
from app.progress import console_progress
from app.settings import ROOT, Settings
from app.weights.catalogue import EmbedderEntry

GOAL = 2.5
#: Faces at the start of a round that are not counted.
WARM_UP = 5
PREFIX = ROOT.parent / "shared" / "data" / "mxnet" / "mobilefacenet-y1" / "model"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prefix", type=Path, default=PREFIX)
    parser.add_argument("--epoch", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--faces", type=int, default=60, help="of each round")
    options = parser.parse_args()
    if not Path(f"{options.prefix}-symbol.json").is_file():
        return not_run(f"no checkpoint {options.prefix}")
    oracle = prepare_oracle(Settings().data_dir, console_progress())
    (stage,) = read_stages(options.prefix, options.epoch)
    with tempfile.TemporaryDirectory() as folder:
        entry = import_checkpoint(
            options.prefix, options.epoch, Path(folder), ImportOptions(kind="embedding")
        )
        if not isinstance(entry, EmbedderEntry):
            raise SystemExit(f"{options.prefix} is no embedder")
        embedder = load_embedder(entry, Path(folder), Runtime())
    faces = np.random.default_rng(0).integers(0, 256, (1, entry.size, entry.size, 3), dtype=np.uint8)
    fed = {"data": blob(list(faces), entry.input)}
    theirs: list[Sequence[float]] = []
    ours: list[Sequence[float]] = []
    for _ in range(options.rounds):
        answer = oracle.ask(stage.graph, stage.paths[1], fed, rounds=options.faces + WARM_UP)
        theirs.append(answer.milliseconds[WARM_UP:])
        ours.append(milliseconds_of(lambda: embedder.embed(faces), options.faces + WARM_UP)[WARM_UP:])
    (expected,) = answer.outputs.values()
    similarity = float((embedder.embed(faces) @ expected.T).item() / np.linalg.norm(expected))
    if similarity < 0.99999:
        raise SystemExit(f"not the same embedding: cosine similarity {similarity}")
    rows = [
        {"runtime": what, "median ms": f"{np.median(times):.1f}", "least ms": f"{np.min(times):.1f}"}
        for what, times in (("MXNet 1.9.1", theirs), ("Onlooker", ours))
    ]
    what = "an imported MobileFaceNet against MXNet 1.9.1, one thread"
    ratios = [float(np.median(slow) / np.median(fast)) for slow, fast in zip(theirs, ours, strict=True)]
    figure = Figure(what, "times as fast", GOAL, ratios)
    return report("imported_vs_mxnet", [figure], rows, net=entry.name, similarity=round(similarity, 7))


def milliseconds_of(work: Callable[[], object], times: int) -> list[float]:
    """Return how long each of so many runs took."""
    found: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append((time.perf_counter() - started) * 1000)
    return found


if __name__ == "__main__":
    sys.exit(run_alone(main, minutes=20))
