"""Detection and embedding with 1, 8, 32 and 64 images in one run, on the device that the settings choose.

The nets are loaded and fed as a worker does it. The figure is how many times as many faces a second are
embedded in the batches that a worker makes on that device as one by one.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from _report import Figure, report, run_alone

from app.models.chosen import chosen_nets, prepare_nets
from app.models.detection import load_detector
from app.models.embedding import load_embedder
from app.models.runtime.session import Runtime, runtime_for
from app.progress import console_progress
from app.settings import Settings

GOAL = 1.0
SIZES = (1, 8, 32, 64)
#: Frames are as large as the nets are given them; (height, width) in pixels.
FRAME = (384, 640)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each size, in turns")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    settings = Settings()
    prepare_nets(settings, console_progress())
    runtime = runtime_for(settings)
    sizes = sorted({1, runtime.faces, *options.sizes})
    works = {size: works_of(settings, runtime, size) for size in sizes}
    times: dict[tuple[str, int], list[float]] = {}
    # The first round is for warming up.
    for turn in range(options.rounds + 1):
        for size, (detect, embed) in works.items():
            for what, work in (("detect", detect), ("embed", embed)):
                # As many images for each size, so that none has cold caches more often than the others.
                runs = max(1, max(sizes) // size)
                seconds = timed(work, runs)
                if turn:
                    times.setdefault((what, size), []).append(seconds / (runs * size))
    medians = {key: float(np.median(found)) for key, found in times.items()}
    rows = [
        {
            "in one run": size,
            "ms a frame": f"{1000 * medians['detect', size]:.2f}",
            "frames/s": f"{1 / medians['detect', size]:.1f}",
            "ms a face": f"{1000 * medians['embed', size]:.2f}",
            "faces/s": f"{1 / medians['embed', size]:.1f}",
        }
        for size in sizes
    ]
    alone, together = times["embed", 1], times["embed", runtime.faces]
    what = "faces a second in the batches that a worker makes on its device, of those one by one"
    figure = Figure(
        what, "times as many", GOAL, [one / other for one, other in zip(alone, together, strict=True)]
    )
    return report(
        "batches", [figure], rows, settings=settings, device=str(runtime.device), batch=runtime.faces,
        frame="x".join(map(str, FRAME[::-1])),
    )  # fmt: skip


def works_of(settings: Settings, base: Runtime, size: int) -> Sequence[Callable[[], object]]:
    """Return what detects in `size` frames, and what embeds `size` faces, each in one run of its net."""
    runtime = Runtime(base.device, base.threads, size, size, base.engines)
    chosen, folder = chosen_nets(settings), settings.weights_dir
    detector = load_detector(
        chosen.detector, folder, runtime, side=settings.detection_side, score=settings.detection_score
    )
    embedder = load_embedder(chosen.embedder, folder, runtime)
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (*FRAME, 3), dtype=np.uint8) for _ in range(size)]
    faces = random.integers(0, 256, (size, 112, 112, 3), dtype=np.uint8)
    return lambda: detector.detect_all(frames), lambda: embedder.embed(faces)


def timed(work: Callable[[], object], runs: int) -> float:
    """Return the seconds that `work` takes, so many times."""
    started = time.perf_counter()
    for _ in range(runs):
        work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(run_alone(main, minutes=20))
