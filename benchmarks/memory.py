"""Whether a worker grows: its resident memory over twenty minutes with a camera and a recording.

What it grows by is the slope of a line through the samples after the first five minutes. Of their two halves
the smaller slope counts: a single step, such as a buffer that was needed once, is no leak.
"""

import argparse
import asyncio
import time

import numpy as np
import psutil
from _report import report
from _rig import CLIP, Started, rig

GOAL = 1.0
EVERY = 5.0
#: Seconds at the start that are not counted: nets, caches and buffers find their size.
SETTLING = 300.0


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    options = parser.parse_args()
    async with rig() as bench:
        settings = bench.settings(frames_bytes=128 * 2**20)
        with bench.started(settings) as worker:
            await asyncio.to_thread(worker.until_ready)
            with (
                bench.source(settings, "demo", "--stream", "camera", "--fps", "5"),
                bench.source(settings, str(CLIP), "--stream", "recording", "--loop", "--fps", "5"),
            ):
                samples = await watch(worker, options.minutes * 60)
    conclude(samples)


async def watch(worker: Started, seconds: float) -> list[tuple[float, float]]:
    """Return seconds since the start and MB of resident memory."""
    process, start = psutil.Process(worker.pid), time.monotonic()
    samples: list[tuple[float, float]] = []
    while (passed := time.monotonic() - start) < seconds:
        samples.append((passed, process.memory_info().rss / 1e6))
        await asyncio.sleep(EVERY)
    return samples


def growth(samples: list[tuple[float, float]]) -> float:
    """Return MB an hour."""
    times, sizes = np.array(samples).T
    return float(np.polyfit(times, sizes, 1)[0] * 3600)


def conclude(samples: list[tuple[float, float]]) -> None:
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
    least = min(slopes.values())
    more = {"minutes": round(samples[-1][0] / 60), "whole": round(growth(settled), 1)}
    report("memory", round(least, 1), GOAL, least <= GOAL, "MB an hour", rows, more)


if __name__ == "__main__":
    asyncio.run(main())
