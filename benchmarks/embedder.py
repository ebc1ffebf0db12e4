"""The default embedder as Onlooker loads it, against the shipped file in plain onnxruntime, face by face.

Both have one thread and the same faces; they take turns, so that a busy machine slows both down alike.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import onnxruntime as ort
from _report import Figure, report, run_alone

from app.models.embedding import load_embedder
from app.models.feed import blob
from app.models.runtime.session import Runtime
from app.progress import console_progress
from app.settings import Settings
from app.weights.catalogue import load_catalogue
from app.weights.fetch import ensure, path_of

GOAL = 1.7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--faces", type=int, default=50, help="of each round")
    parser.add_argument("--embedder", default=Settings.model_fields["embedder"].default)
    options = parser.parse_args()
    settings = Settings(embedder=options.embedder)
    ensure(options.embedder, settings, console_progress())
    entry = load_catalogue(settings.weights_dir).embedder(options.embedder)
    path = path_of(entry, settings.weights_dir)
    faces = np.random.default_rng(0).integers(0, 256, (1, entry.size, entry.size, 3), dtype=np.uint8)

    plain = ort.SessionOptions()
    plain.intra_op_num_threads = plain.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), plain, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    embedder = load_embedder(entry, settings.weights_dir, Runtime())
    shipped = lambda: session.run(None, {name: blob(list(faces), entry.input)})[0]  # noqa: E731
    ours = lambda: embedder.embed(faces)  # noqa: E731

    expected = shipped()
    similarity = float((ours() @ expected.T).item() / np.linalg.norm(expected))
    if similarity < 0.99999:
        raise SystemExit(f"not the same embedding: cosine similarity {similarity}")
    times = in_turns(
        {"shipped file, onnxruntime": shipped, "as Onlooker loads it": ours}, options.rounds * options.faces
    )
    medians = {what: float(np.median(found)) for what, found in times.items()}
    slow, fast = (medians_of(found, options.rounds) for found in times.values())
    rows = [
        {"net": what, "median ms": f"{medians[what]:.1f}", "least ms": f"{min(found):.1f}"}
        for what, found in times.items()
    ]
    what = "the default embedder as it is loaded here, against the shipped file in onnxruntime, one thread"
    figure = Figure(what, "times as fast", GOAL, [one / other for one, other in zip(slow, fast, strict=True)])
    return report(
        "embedder", [figure], rows, settings=settings, embedder=entry.identity,
        similarity=round(similarity, 7),
    )  # fmt: skip


def medians_of(milliseconds: list[float], rounds: int) -> list[float]:
    """Return the median of each round, of those that were measured one after the other."""
    return [float(np.median(part)) for part in np.array_split(milliseconds, rounds)]


def in_turns(works: dict[str, Callable[[], object]], faces: int) -> dict[str, list[float]]:
    """Return the milliseconds of each work, done in turns; the first ones are for warming up."""
    times: dict[str, list[float]] = {what: [] for what in works}
    for _ in range(faces + 10):
        for what, work in works.items():
            started = time.perf_counter()
            work()
            times[what].append((time.perf_counter() - started) * 1000)
    return {what: found[10:] for what, found in times.items()}


if __name__ == "__main__":
    sys.exit(run_alone(main, minutes=15))
