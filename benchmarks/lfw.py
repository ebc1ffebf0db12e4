"""Verification accuracy on Labeled Faces in the Wild, through the product's own detect, align and embed.

The face of a picture is the one nearest to its centre, where LFW puts the person who is named. A picture
without a face makes its pairs wrong. The threshold for each fold is the best one on the other folds.

    python benchmarks/lfw.py [--data FOLDER] [--detector NAME] [--threads N]

FOLDER holds `pairs.txt` (official format) and `images/NAME/NAME_0001.jpg`.
"""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _report import report
from numpy.typing import NDArray

from app.models.gate import Gate
from app.models.images import decode_image
from app.models.pipeline import Recogniser, load_recogniser
from app.models.report import console_report
from app.settings import ROOT, Settings

GOAL = 0.992
#: Below every similarity: pairs with a picture in which no face was found.
NO_FACE = -2.0


@dataclass(frozen=True)
class Pair:
    """Two pictures, whether they show the same person, and the fold they belong to."""

    first: Path
    second: Path
    same: bool
    fold: int


def main() -> int:
    """Measure, print, and return 0 where the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "lfw")
    parser.add_argument("--detector", default=Settings().detector)
    parser.add_argument("--threads", type=int, default=2, help="pictures worked on at once")
    options = parser.parse_args()
    if not (options.data / "pairs.txt").is_file():
        parser.error(f"no pairs.txt in {options.data}")
    pairs = read_pairs(options.data)
    recogniser = load_recogniser(Settings(detector=options.detector), console_report())
    started = time.monotonic()
    embeddings = embed_all(
        recogniser, sorted({p for pair in pairs for p in (pair.first, pair.second)}), options.threads
    )
    seconds = time.monotonic() - started
    return conclude(pairs, embeddings, options.detector, recogniser.embedder.name, seconds)


def read_pairs(data: Path) -> list[Pair]:
    """Read the official list: for each fold so many pairs of one person, then as many of two."""
    lines = (data / "pairs.txt").read_text(encoding="utf-8").splitlines()
    folds, each = (int(word) for word in lines[0].split())
    pairs = []
    for number, line in enumerate(lines[1:]):
        words = line.split("\t")
        same = len(words) == 3
        name, first = words[0], words[1]
        other, second = (name, words[2]) if same else (words[2], words[3])
        pairs.append(
            Pair(_picture(data, name, first), _picture(data, other, second), same, number // (2 * each))
        )
    if len(pairs) != folds * each * 2:
        raise SystemExit(f"pairs.txt: expected {folds * each * 2} pairs, found {len(pairs)}")
    return pairs


def _picture(data: Path, name: str, number: str) -> Path:
    return data / "images" / name / f"{name}_{int(number):04d}.jpg"


def embed_all(
    recogniser: Recogniser, paths: list[Path], threads: int
) -> dict[Path, NDArray[np.float32] | None]:
    """Return the embedding of each picture's central face; None where none was found."""
    with ThreadPoolExecutor(threads) as pool:
        return dict(zip(paths, pool.map(lambda path: central_face(recogniser, path), paths), strict=True))


def central_face(recogniser: Recogniser, path: Path) -> NDArray[np.float32] | None:
    """Return the embedding (D,) of the face whose box lies nearest to the centre of the picture."""
    image = decode_image(path.read_bytes(), 10_000_000)
    found = recogniser.analyse(image)
    embedded = np.flatnonzero(found.gates == Gate.PASSED)
    if not embedded.size:
        return None
    boxes = found.detections.boxes[embedded]
    centre = np.array([image.shape[1], image.shape[0]]) / 2
    distances = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - centre, axis=1)
    chosen: NDArray[np.float32] = found.embeddings[embedded[distances.argmin()]]
    return chosen


def conclude(
    pairs: list[Pair],
    embeddings: dict[Path, NDArray[np.float32] | None],
    detector: str,
    embedder: str,
    seconds: float,
) -> int:
    """Score each fold with the threshold of the others and print what came out."""
    scores = np.array([similarity(embeddings[pair.first], embeddings[pair.second]) for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    rows, accuracies = [], []
    for fold in np.unique(folds):
        inside = folds == fold
        threshold = best_threshold(scores[~inside], same[~inside])
        accuracy = correct(scores[inside], same[inside], threshold).mean()
        accuracies.append(accuracy)
        rows.append(
            {"fold": fold + 1, "threshold": f"{threshold:.3f}", "accuracy": f"{100 * accuracy:.2f} %"}
        )
    value, spread = float(np.mean(accuracies)), float(np.std(accuracies, ddof=1))
    missing = sum(embedding is None for embedding in embeddings.values())
    rows.append({"fold": "all", "threshold": "", "accuracy": f"{100 * value:.2f} +- {100 * spread:.2f} %"})
    measured_on = {
        "pairs": len(pairs),
        "images": len(embeddings),
        "images_without_a_face": missing,
        "detector": detector,
        "embedder": embedder,
        "seconds": round(seconds, 1),
    }
    ok = value >= GOAL
    report("LFW verification accuracy", round(value, 4), GOAL, ok, "fraction", rows, measured_on)
    return 0 if ok else 1


def similarity(first: NDArray[np.float32] | None, second: NDArray[np.float32] | None) -> float:
    """Return the cosine similarity, or NO_FACE."""
    return NO_FACE if first is None or second is None else float(first @ second)


def correct(scores: NDArray[np.float64], same: NDArray[np.bool_], threshold: float) -> NDArray[np.bool_]:
    """Tell which pairs are decided rightly; a pair without a face never is."""
    right: NDArray[np.bool_] = ((scores >= threshold) == same) & (scores != NO_FACE)
    return right


def best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """Return the similarity with the most pairs right, the middle one where several are as good."""
    candidates = np.unique(scores)
    right = np.array([correct(scores, same, threshold).sum() for threshold in candidates])
    return float(np.median(candidates[right == right.max()]))


if __name__ == "__main__":
    sys.exit(main())
