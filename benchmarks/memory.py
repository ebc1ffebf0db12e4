"""Whether a worker grows: its resident memory over twenty minutes with a camera and a recording.

What it grows by is the slope of a line through the samples after the first five minutes. Of their two halves
the smaller slope counts: a single step, such as a buffer that was needed once, is no leak.
"""

import argparse
import asyncio
import sys
import time

import numpy as np
import psutil
from _clip import Clip, add_clip, chosen_clip
from _report import Figure, report
from _rig import Rig, Started, rig, run_benchmark

from app.messages import Faces, decode
from app.settings import Settings
from app.sources.demo import standing

GOAL = 1.0
FPS = 5
EVERY = 5.0
#: Seconds at the start that are not counted: nets, caches and buffers find their size.
SETTLING = 300.0


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_clip(parser)
    parser.add_argument("--minutes", type=float, default=20)
    options = parser.parse_args()
    clip = chosen_clip(options.clip)
    async with rig() as bench:
        settings = bench.settings(frames_bytes=128 * 2**20)
        with bench.started(settings) as worker:
            await worker.until_ready()
            with (
                bench.source(settings, "demo", "--stream", "camera", "--fps", str(FPS)),
                bench.source(settings, str(clip.path), "--stream", "recording", "--loop", "--fps", str(FPS)),
            ):
                samples = await watch(worker, options.minutes * 60)
                wrong = await not_found(bench, settings, clip, options.minutes * 60)
    return conclude(samples, wrong, settings)


async def watch(worker: Started, seconds: float) -> list[tuple[float, float]]:
    """Return seconds since the start and MB of resident memory."""
    process, start = psutil.Process(worker.pid), time.monotonic()
    samples: list[tuple[float, float]] = []
    while (passed := time.monotonic() - start) < seconds:
        samples.append((passed, process.memory_info().rss / 1e6))
        await asyncio.sleep(EVERY)
    return samples


async def not_found(bench: Rig, settings: Settings, clip: Clip, seconds: float) -> list[str]:
    """Return what is wrong with what a worker made of its frames: one that does nothing does not grow."""
    found = [decode(Faces, record.value) for record in await bench.faces(settings)]
    recorded = {faces.seq: len(faces) for faces in found if faces.stream == "recording"}
    wrong = clip.wrong("faces of the recording", recorded)
    # The log forgets; a worker that keeps up leaves some thousand frames on it.
    least = min(500, 2 * seconds)
    for stream in ("recording", "camera"):
        count = sum(faces.stream == stream for faces in found)
        if count < least:
            wrong.append(f"{count} frames of the {stream} alone were worked on")
    filmed = [(len(faces), len(standing(faces.seq / FPS))) for faces in found if faces.stream == "camera"]
    fewer = sum(number < there for number, there in filmed)
    if fewer > 0.05 * len(filmed):
        wrong.append(f"fewer faces than there are on {fewer} of {len(filmed)} frames of the camera")
    return wrong


def growth(samples: list[tuple[float, float]]) -> float:
    """Return MB an hour."""
    times, sizes = np.array(samples).T
    return float(np.polyfit(times, sizes, 1)[0] * 3600)


def conclude(samples: list[tuple[float, float]], wrong: list[str], settings: Settings) -> int:
    settled = [sample for sample in samples if sample[0] >= min(SETTLING, samples[-1][0] / 2)]
    middle = len(settled) // 2
    slopes = {"first half": growth(settled[:middle]), "second half": growth(settled[middle:])}
    rows = [
        {
            "": "MB",
            "at the start": f"{samples[0][1]:.0f}",
            "settled": f"{settled[0][1]:.1f}",
            "at the end": f"{settled[-1][1]:.1f}",
            **{f"{name}, MB an hour": f"{slope:.1f}" for name, slope in slopes.items()},
        }
    ]
    minutes = round(samples[-1][0] / 60)
    what = (
        f"growth of a worker over {minutes} minutes with a camera and a recording, five of them not counted:"
        " the flatter of two halves"
    )
    figure = Figure(what, "MB an hour", GOAL, [min(slopes.values())], at_most=True)
    return report(
        "memory", [figure], rows, wrong, settings, whole=round(growth(settled), 1),
        megabytes=[round(samples[place][1], 1) for place in (0, -1)],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(run_benchmark(main(), minutes=60))
