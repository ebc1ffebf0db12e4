"""Frames a second through Kafka and Faust, against the bare loop of the same nets, in one run.

Every face of every frame of a clip is embedded. The yardstick is the bare loop: the same video, nets
and faces, no broker, one frame after the other; the better of one and two threads for each net.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass
from itertools import islice

from _clip import Clip, add_clip, chosen_clip
from _report import Figure, report
from _rig import Rig, enrol, rig, run_benchmark

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
    wrong: list[str]

    @property
    def bare(self) -> float:
        return max(self.bare_1, self.bare_2)

    @property
    def of_cores(self) -> float:
        return self.on_topic * self.nets / cores()


def cores() -> int:
    return len(os.sched_getaffinity(0))


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_clip(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=3, help="how often the clip is played in a run")
    options = parser.parse_args()
    clip = chosen_clip(options.clip)
    async with rig() as bench:
        rounds = [await measure(bench, clip, options.times, number) for number in range(options.rounds)]
        return conclude(rounds, clip, bench.settings(embed="every"))


async def measure(bench: Rig, clip: Clip, times: int, number: int) -> Round:
    """Measure the bare loop before the worker in one round, and after it in the next."""
    bare: list[tuple[float, float]] = []
    if number % 2 == 0:
        bare = [bare_loop(clip, threads) for threads in (1, 2)]
    on_topic, wrong = await backlog(bench, clip, times)
    with_source, more_wrong = await beside_source(bench, clip, times, on_topic)
    bare = bare or [bare_loop(clip, threads) for threads in (1, 2)]
    return Round(bare[0][0], bare[1][0], bare[0][1], on_topic, with_source, [*wrong, *more_wrong])


def bare_loop(clip: Clip, threads: int) -> tuple[float, float]:
    """Return frames a second, and the nets' CPU seconds a frame."""
    recogniser = load_recogniser(Settings(threads=threads))
    for image in islice(clip.decoded(), 5):
        recogniser.analyse(image)
    count, cpu = 0, 0.0
    start = time.perf_counter()
    for image in clip.decoded():
        before = time.thread_time()
        recogniser.analyse(image)
        cpu += time.thread_time() - before
        count += 1
    return count / (time.perf_counter() - start), cpu / count


async def backlog(bench: Rig, clip: Clip, times: int) -> tuple[float, list[str]]:
    """Frames are on the topic before the worker starts, and somebody is enrolled."""
    settings = bench.settings(embed="every")
    async with bench.worker(settings):
        person = await enrol(settings)
    count = await bench.fill(settings, "clip", clip.jpegs(), times)
    async with bench.worker(settings):
        rate = await bench.rate(settings, count, SKIP)
        return rate, await bench.wrong(settings, clip, person)


async def beside_source(bench: Rig, clip: Clip, times: int, fps: float) -> tuple[float, list[str]]:
    """The source decodes, encodes and writes on the same machine, as fast as the worker can be."""
    settings = bench.settings(embed="every")
    async with bench.worker(settings):
        arguments = (str(clip.path), "--stream", "clip", "--loop", "--fps", f"{fps:.1f}")
        with bench.source(settings, *arguments):
            rate = await bench.rate(settings, clip.frames * times, SKIP)
        return rate, await bench.wrong(settings, clip)


def conclude(rounds: list[Round], clip: Clip, settings: Settings) -> int:
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
    bare = "the bare loop's frames a second"
    figures = [
        Figure(
            "frames a second through Kafka and Faust, every face of every frame embedded, against a bare loop"
            " of the same nets", f"of {bare}", GOAL, [one.on_topic / one.bare for one in rounds],
        ),
        Figure(
            "the same, of what the cores could do if there were nothing but the nets", "of the cores",
            GOAL_OF_CORES, [one.of_cores for one in rounds],
        ),
        Figure(
            "the same, with the source decoding and writing on the same machine", f"of {bare}",
            GOAL_WITH_SOURCE, [one.with_source / one.bare for one in rounds],
        ),
    ]  # fmt: skip
    wrong = [reason for one in rounds for reason in one.wrong]
    return report("end_to_end", figures, rows, wrong, settings, clip=clip.path.name, frames=clip.frames)


if __name__ == "__main__":
    sys.exit(run_benchmark(main(), minutes=30))
