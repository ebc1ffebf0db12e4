"""What pooling the faces of a visit is worth: LFW as a camera on a ceiling would show it.

Who has four pictures is enrolled with the first as it is, and searched for by three that are made small: the
face 28 to 45 pixels wide, half of them blurred, JPEG of quality 40 to 85, found and aligned again. Who has
two or three is a stranger, seen small; who has one is enrolled beside. A seed makes the same pictures;
`--write visits` makes them once and for all, for `onlooker calibrate visits`.

Quality, and what it weighs, were fitted to small pictures of these very people: on others it may be worth
less.
"""

import argparse
import math
import sys
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from _report import Figure, not_run, report, run_alone

from app.errors import OnlookerError
from app.evaluation import PROBES, Pooling, identify_pooled, read_dataset, take_sample
from app.models import Image, Recogniser, decode_image, encode_jpeg, load_recogniser
from app.progress import Task, console_progress
from app.settings import ROOT, Settings

GOAL, GOAL_OF_SINGLE = 0.80, 1.5
#: Width of a face that is made small, deviation of the blur, JPEG quality.
SIDES, BLURS, QUALITIES = (28, 45), (0.6, 1.2), (40, 86)
#: Of each round: how many there are of whom, and who of them was not found for want of a face.
COUNTS = (
    "enrolled", "not_enrolled", "people", "people_without_face", "strangers", "strangers_without_face",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "lfw")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the pictures, one a round"
    )
    parser.add_argument("--threads", type=int, default=2, help="pictures worked on at once")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FOLDER",
        help="write the first round's pictures there, for other measures",
    )
    options = parser.parse_args()
    if not (options.data / "pairs.txt").is_file():
        return not_run(f"no pairs.txt in {options.data}")
    settings = Settings()
    try:
        people = read_dataset(options.data).people
        counts = {len(pictures) for pictures in people.values()}
        if max(counts) <= PROBES or counts.isdisjoint(range(2, PROBES + 1)):
            return not_run(
                f"nobody in {options.data} has {PROBES + 1} pictures, or nobody has two or {PROBES}"
            )
        if options.write is not None:
            options.write.mkdir()
            make_dataset(
                people, options.write, load_recogniser(settings, console_progress()), options.seeds[0]
            )
            return 0
        rounds = [measure(people, settings, seed, options.threads) for seed in options.seeds]
    except (OnlookerError, OSError) as error:
        parser.error(str(error))
    return conclude(rounds, settings)


def measure(people: dict[str, Sequence[Path]], settings: Settings, seed: int, threads: int) -> Pooling:
    """Make the pictures of one round, and search for the people on them."""
    recogniser = load_recogniser(settings, console_progress())
    with tempfile.TemporaryDirectory(prefix="onlooker-visits-") as name:
        make_dataset(people, Path(name), recogniser, seed)
        dataset = read_dataset(Path(name))
        sample = take_sample(settings, dataset, threads, console_progress(), remember=False)
    found = identify_pooled(sample.faces_of_people)
    assert found is not None, "people with pictures enough, and strangers"
    return found


def make_dataset(people: dict[str, Sequence[Path]], folder: Path, recogniser: Recogniser, seed: int) -> None:
    """Write the people's pictures, as they are or small, a folder each."""
    limit = Settings().max_photo_pixels
    with Task(console_progress(), "making pictures small", len(people)) as task:
        for name, pictures in people.items():
            (folder / name).mkdir()
            for place, picture in enumerate(pictures[: PROBES + 1]):
                data = picture.read_bytes()
                if len(pictures) > 1 and (place or len(pictures) <= PROBES):
                    random = np.random.default_rng([seed, zlib.crc32(picture.name.encode())])
                    data = made_small(decode_image(data, limit), recogniser, random)
                (folder / name / picture.name).write_bytes(data)
            task.update(1)


def made_small(image: Image, recogniser: Recogniser, random: np.random.Generator) -> bytes:
    """Return a picture as JPEG, as a camera would show it from afar."""
    boxes = recogniser.detector.detect(image).boxes
    side = float(np.median((boxes[:, 2:] - boxes[:, :2]).min(axis=1))) if len(boxes) else image.shape[1] / 2
    times = random.uniform(*SIDES) / side
    small = cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_AREA)
    if random.random() < 0.5:
        small = cv2.GaussianBlur(small, (0, 0), random.uniform(*BLURS))
    return encode_jpeg(np.asarray(small, np.uint8), int(random.integers(*QUALITIES)))


def conclude(rounds: Sequence[Pooling], settings: Settings) -> int:
    """Print what each way of searching finds at 1 % false positives."""
    rows, wrong = [], []
    for number, found in enumerate(rounds, 1):
        ways = {"one, on average": found.single, "best": found.best, f"{PROBES} pooled": found.pooled}
        rows += [
            {"round": number, "searched for by": what, "rank 1": f"{100 * rates.rank1:.1f} %"}
            | {f"DIR at FPIR {rates.points[0].rate:g}": percent(rates.points[0].hits)}
            for what, rates in ways.items()
        ]
        wrong += [] if found.people >= 100 else [f"{found.people} people alone were searched for"]
        wrong += [why] if (why := found.pooled.points[0].why_not) else []
    hits = [(found.single.points[0].hits or 0.0, found.pooled.points[0].hits or 0.0) for found in rounds]
    what = f"identified at 1 % false positives by {PROBES} small pictures in one template (LFW)"
    figures = [
        Figure(what, "of the people", GOAL, [pooled for _, pooled in hits]),
        Figure("the same, of what one of them finds", "times", GOAL_OF_SINGLE, [
            pooled / single if single else math.inf for single, pooled in hits
        ]),
    ]  # fmt: skip
    counts = (
        "enrolled",
        "not_enrolled",
        "people",
        "people_without_face",
        "strangers",
        "strangers_without_face",
    )
    people = {name: [getattr(found, name) for found in rounds] for name in counts}
    return report("visits", figures, rows, wrong, settings, **people)


def percent(share: float | None) -> str:
    """Return a share as it is read; where the strangers are too few for a threshold there is none."""
    return "not supported" if share is None else f"{100 * share:.1f} %"


if __name__ == "__main__":
    sys.exit(run_alone(main, minutes=60))
