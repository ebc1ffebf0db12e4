"""What a recording that is written as fast as it goes costs a live stream beside it, on the same partition.

A live stream of ten frames a second is written alone, then beside the recording, in turns. The live stream is
to lose no more frames than alone, its frames are to be hardly older, and the recording is still to move.
"""

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from _report import report
from _rig import CLIP, Image, Rig, jpegs_of, producer_for, rig, send_frame

from app.messages import Faces, decode
from app.settings import Settings

GOAL = 1.3
FPS = 10
#: Frames at the start of a run that are not counted.
SKIP = 20


@dataclass(frozen=True)
class Run:
    """What became of the live frames, and of the recording."""

    lost: int
    p50: float
    p99: float
    recorded: int


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    jpegs = jpegs_of(CLIP)
    async with rig() as bench:
        rounds = [
            (
                await measure(bench, jpegs, options.seconds, beside=False),
                await measure(bench, jpegs, options.seconds, beside=True),
            )
            for _ in range(options.rounds)
        ]
    conclude(rounds, options.seconds)


async def measure(bench: Rig, jpegs: list[tuple[Image, bytes]], seconds: int, *, beside: bool) -> Run:
    settings = bench.settings()
    if beside:
        # More than the worker gets through meanwhile.
        await bench.fill(settings, "recording", jpegs, 2 + seconds // 6)
    with bench.worker(settings):
        sent = await film(settings, jpegs, seconds)
        await asyncio.sleep(3)
        found = [(decode(Faces, record.value), record.timestamp) for record in await bench.faces(settings)]
    live = [(faces, at) for faces, at in found if faces.live and faces.seq >= SKIP]
    ages = [at - faces.captured for faces, at in live]
    p50, p99 = (float(np.percentile(ages, part)) for part in (50, 99))
    return Run(sent - SKIP - len(live), p50, p99, sum(not faces.live for faces, _ in found))


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


def conclude(rounds: list[tuple[Run, Run]], seconds: int) -> None:
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
    ratio = statistics.median(beside.p99 / alone.p99 for alone, beside in rounds)
    more_lost = statistics.median(beside.lost - alone.lost for alone, beside in rounds)
    moves = min(beside.recorded for _, beside in rounds)
    ok = ratio <= GOAL and more_lost <= 0 and moves > seconds
    more = {
        "rounds": len(rounds),
        "seconds": seconds,
        "more_frames_lost": more_lost,
        "recorded_fps": round(moves / seconds, 1),
    }
    report("fairness", round(ratio, 2), GOAL, ok, "of its age p99 alone", rows, more)


if __name__ == "__main__":
    asyncio.run(main())
