"""Verification accuracy on Labeled Faces in the Wild, through the product's own detect, align and embed.

The face of a picture is the one nearest to its centre, where LFW puts the person who is named. A picture
without a face makes its pairs wrong. The threshold for each fold is the best one on the other folds.

    python benchmarks/lfw.py [--data FOLDER] [--detector NAME] [--threads N]

FOLDER holds `pairs.txt` (official format) and `images/NAME/NAME_0001.jpg`.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from _report import Figure, not_run, report, run_alone

from app.errors import OnlookerError
from app.evaluation.dataset import Dataset, read_dataset
from app.evaluation.sample import Sample, take_sample
from app.evaluation.verification import verify
from app.progress import console_progress
from app.settings import ROOT, Settings

GOAL = 0.992


def main() -> int:
    """Measure, print, and return 0 where the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "lfw")
    parser.add_argument("--detector", default=Settings().detector)
    parser.add_argument("--threads", type=int, default=2, help="pictures worked on at once")
    options = parser.parse_args()
    if not (options.data / "pairs.txt").is_file():
        return not_run(f"no pairs.txt in {options.data}")
    settings = Settings(detector=options.detector)
    try:
        dataset = of_pairs(read_dataset(options.data))
        started = time.monotonic()
        # The nets are what is measured: nothing is taken from an earlier run.
        sample = take_sample(settings, dataset, options.threads, console_progress(), remember=False)
    except OnlookerError as error:
        parser.error(str(error))
    return conclude(sample, time.monotonic() - started, settings)


def of_pairs(dataset: Dataset) -> Dataset:
    """Leave out the pictures that are in no pair."""
    wanted = {picture for pair in dataset.pairs for picture in (pair.first, pair.second)}
    people = {
        name: tuple(picture for picture in theirs if picture in wanted)
        for name, theirs in dataset.people.items()
    }
    return replace(dataset, people=people)


def conclude(sample: Sample, seconds: float, settings: Settings) -> int:
    """Print the accuracy of each fold, with the threshold of the others, and of all."""
    found = verify(sample.dataset.pairs, sample.embeddings)
    rows = [
        {"fold": number, "threshold": f"{fold.threshold:.3f}", "accuracy": f"{100 * fold.accuracy:.2f} %"}
        for number, fold in enumerate(found.folds, start=1)
    ]
    spread = "" if found.deviation is None else f" +- {100 * found.deviation:.2f}"
    rows.append({"fold": "all", "threshold": "", "accuracy": f"{100 * found.accuracy:.2f}{spread} %"})
    wrong = []
    if sample.without_face > 0.01 * len(sample.embeddings):
        wrong.append(f"{sample.without_face} of {len(sample.embeddings)} pictures have no face")
    what = (
        f"LFW, {len(found.folds)} folds, {sample.nets.detector.name} and {sample.nets.embedder.name},"
        " through the product's own path"
    )
    figure = Figure(what, "of pairs", GOAL, [found.accuracy])
    return report(
        "lfw", [figure], rows, wrong, settings, pairs=found.pairs, images=len(sample.embeddings),
        detector=sample.nets.detector.name, embedder=sample.nets.embedder.name, seconds=round(seconds, 1),
        deviation=found.deviation, folds=[fold.accuracy for fold in found.folds],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(run_alone(main, minutes=60))
