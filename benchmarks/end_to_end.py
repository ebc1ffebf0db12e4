"""Frames a second through Kafka and Faust, against the bare loop of the same nets, in one run.

Every face of every frame of a clip is embedded. The yardstick is the bare loop: the same video, nets
and faces, no broker, one frame after the other; the better of one and two threads for each net.
"""

import argparse
import asyncio
import os
import statistics
import time
from dataclasses import dataclass
from itertools import islice

from _report import report
from _rig import CLIP, Image, Rig, decoded, jpegs_of, rig

from app.models.pipeline import load_recogniser
from app.settings import Settings

GOAL, GOAL_OF_CORES, GOAL_WITH_SOURCE = 1.10, 0.85, 0.95
#: Frames at the start of a run that are not counted: the pipeline is filling.
SKIP = 50


@dataclass(frozen=True)
class Round:
    """What one round measured; frames a second."""

    bare_1: float
    bare_2: float
    #: CPU seconds of the nets a frame.
    nets: float
    on_topic: float
    with_source: float

    @property
    def bare(self) -> float:
        return max(self.bare_1, self.bare_2)

    @property
    def of_cores(self) -> float:
        return self.on_topic * self.nets / cores()


def cores() -> int:
    return len(os.sched_getaffinity(0))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=3, help="how often the clip is played in a run")
    options = parser.parse_args()
    jpegs = jpegs_of(CLIP)
    async with rig() as bench:
        rounds = [await measure(bench, jpegs, options.times) for _ in range(options.rounds)]
    conclude(rounds, len(jpegs))


async def measure(bench: Rig, jpegs: list[tuple[Image, bytes]], times: int) -> Round:
    bare_1, nets = bare_loop(1)
    bare_2, _ = bare_loop(2)
    on_topic = await backlog(bench, jpegs, times)
    with_source = await beside_source(bench, len(jpegs), times, on_topic)
    return Round(bare_1, bare_2, nets, on_topic, with_source)


def bare_loop(threads: int) -> tuple[float, float]:
    """Return frames a second, and the nets' CPU seconds a frame."""
    recogniser = load_recogniser(Settings(threads=threads))
    for image in islice(decoded(CLIP), 5):
        recogniser.analyse(image)
    count, cpu = 0, 0.0
    start = time.perf_counter()
    for image in decoded(CLIP):
        before = time.thread_time()
        recogniser.analyse(image)
        cpu += time.thread_time() - before
        count += 1
    return count / (time.perf_counter() - start), cpu / count


async def backlog(bench: Rig, jpegs: list[tuple[Image, bytes]], times: int) -> float:
    """Frames are on the topic before the worker starts."""
    settings = bench.settings()
    count = await bench.fill(settings, "clip", jpegs, times)
    with bench.worker(settings):
        return await bench.rate(settings, count, SKIP)


async def beside_source(bench: Rig, frames: int, times: int, fps: float) -> float:
    """The source decodes, encodes and writes on the same machine, as fast as the worker can be."""
    settings = bench.settings()
    with bench.worker(settings):
        arguments = (str(CLIP), "--stream", "clip", "--loop", "--fps", f"{fps:.1f}")
        with bench.source(settings, *arguments):
            return await bench.rate(settings, frames * times, SKIP)


def conclude(rounds: list[Round], frames: int) -> None:
    rows = [
        {
            "round": number,
            "bare, 1 thread": f"{one.bare_1:.1f}",
            "bare, 2 threads": f"{one.bare_2:.1f}",
            "nets, ms of CPU": f"{one.nets * 1000:.1f}",
            "on the topic": f"{one.on_topic:.1f} ({one.on_topic / one.bare:.2f})",
            "of the cores": f"{one.of_cores:.2f}",
            "with the source": f"{one.with_source:.1f} ({one.with_source / one.bare:.2f})",
        }
        for number, one in enumerate(rounds, 1)
    ]
    on_topic = statistics.median(one.on_topic / one.bare for one in rounds)
    of_cores = statistics.median(one.of_cores for one in rounds)
    with_source = statistics.median(one.with_source / one.bare for one in rounds)
    ok = on_topic >= GOAL and of_cores >= GOAL_OF_CORES and with_source >= GOAL_WITH_SOURCE
    more = {
        "clip": CLIP.name,
        "frames": frames,
        "rounds": len(rounds),
        "of_cores": round(of_cores, 3),
        "of_cores_goal": GOAL_OF_CORES,
        "with_source": round(with_source, 3),
        "with_source_goal": GOAL_WITH_SOURCE,
    }
    report("end_to_end", round(on_topic, 3), GOAL, ok, "of the bare loop's frames a second", rows, more)


if __name__ == "__main__":
    asyncio.run(main())
