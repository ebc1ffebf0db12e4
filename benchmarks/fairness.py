"""What a recording that is written as fast as it goes costs a live stream beside it, on the same partition.

A live stream of ten frames a second is written alone, then beside the recording, in turns. The live stream is
to lose no more frames than alone, its frames are to be hardly older, and the recording is still to move.
"""

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from _clip import Clip, Image, add_clip, chosen_clip
from _report import Figure, report
from _rig import Rig, producer_for, rig, run_benchmark, send_frame

from app.messages import Faces, decode
from app.settings import Settings

GOAL = 1.3
FPS = 10
#: Frames at the start of a run that are not counted.
SKIP = 20


@dataclass(frozen=True)
class Run:
    """What became of the live frames, and of the recording; a frame that was lost is of any age."""

    lost: int
    p50: float
    p99: float
    recorded: int
    wrong: list[str]


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_clip(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    clip = chosen_clip(options.clip)
    rounds: list[tuple[Run, Run]] = []
    async with rig() as bench:
        for number in range(options.rounds):
            # In turns: neither always has the machine that the other one has warmed up.
            order = (False, True) if number % 2 == 0 else (True, False)
            runs = {beside: await measure(bench, clip, options.seconds, beside=beside) for beside in order}
            rounds.append((runs[False], runs[True]))
        return conclude(rounds, options.seconds, clip, bench.settings())


async def measure(bench: Rig, clip: Clip, seconds: int, *, beside: bool) -> Run:
    settings, jpegs = bench.settings(), clip.jpegs()
    if beside:
        # More than the worker gets through meanwhile.
        await bench.fill(settings, "recording", jpegs, 2 + seconds // 6)
    async with bench.worker(settings):
        sent = await film(settings, jpegs, seconds)
        await asyncio.sleep(3)
        found = [(decode(Faces, record.value), record.timestamp) for record in await bench.faces(settings)]
    live = [(faces, at) for faces, at in found if faces.live and faces.seq >= SKIP]
    lost = sent - SKIP - len(live)
    ages = [*(at - faces.captured for faces, at in live), *[float("inf")] * lost]
    p50, p99 = (float(np.percentile(ages, part, method="higher")) for part in (50, 99))
    wrong = clip.wrong("faces of the live stream", {faces.seq: len(faces) for faces, _ in live})
    return Run(lost, p50, p99, sum(not faces.live for faces, _ in found), wrong)


async def film(settings: Settings, jpegs: list[tuple[Image, bytes]], seconds: int) -> int:
    """Write a live stream, and return how many frames that were."""
    count = seconds * FPS
    async with producer_for(settings) as producer:
        start = time.time()
        for seq, picture in zip(range(count), cycle(jpegs), strict=False):
            await asyncio.sleep(max(0.0, start + seq / FPS - time.time()))
            at = {"captured": int(time.time() * 1000), "pts": seq * 1000 // FPS}
            await send_frame(producer, settings, picture, stream="live", seq=seq, live=True, **at)
    return count


def conclude(rounds: list[tuple[Run, Run]], seconds: int, clip: Clip, settings: Settings) -> int:
    rows = [
        {
            "round": number,
            "": what,
            "lost": run.lost,
            "age p50 ms": f"{run.p50:.0f}",
            "age p99 ms": f"{run.p99:.0f}",
            "recorded frames/s": f"{run.recorded / seconds:.1f}",
        }
        for number, pair in enumerate(rounds, 1)
        for what, run in zip(("alone", "beside"), pair, strict=True)
    ]
    ratios = [beside.p99 / min(alone.p99, sys.float_info.max) for alone, beside in rounds]
    figures = [
        Figure(
            "the worst age (p99) of a camera's frames beside a recording written as fast as it goes, of what"
            " it is alone", "of it", GOAL, ratios, at_most=True,
        ),
        Figure(
            "the same: frames that it loses more than alone", "frames", 0,
            [beside.lost - alone.lost for alone, beside in rounds], at_most=True,
        ),
        Figure(
            "the same: what the recording gets", "frames a second", 1,
            [beside.recorded / seconds for _, beside in rounds],
        ),
    ]  # fmt: skip
    wrong = [reason for pair in rounds for run in pair for reason in run.wrong]
    # One that is too slow for the camera alone shows nothing of what the recording takes from it.
    wrong += [f"alone it loses {alone.lost} frames" for alone, _ in rounds if alone.p99 == float("inf")]
    return report("fairness", figures, rows, wrong, settings, clip=clip.path.name, seconds=seconds)


if __name__ == "__main__":
    sys.exit(run_benchmark(main(), minutes=40))
