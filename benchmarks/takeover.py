"""How long a stream stands still when its worker is killed: from SIGKILL to the next frame's faces.

Two workers share live streams; the one that has more is killed, again and again, and started anew.
"""

import argparse
import asyncio
import json
import sys
import time
import urllib.request

import numpy as np
from _clip import Clip, add_clip, chosen_clip
from _report import Figure, report
from _rig import Rig, Started, producer_for, rig, run_benchmark, send_frame

from app.messages import Faces, decode
from app.settings import Settings

GOAL_P50, GOAL_P99 = 8.0, 15.0
STREAMS, FPS = [f"camera-{number}" for number in range(4)], 3
PATIENCE = 60.0


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_clip(parser)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    clip = chosen_clip(options.clip)
    async with rig() as bench:
        settings = bench.settings(partitions=4)
        seconds, wrong = await measure(bench, settings, clip, options.kills)
    p50, p99 = (float(np.percentile(seconds, part)) for part in (50, 99))
    rows = [{"kills": options.kills, "takeovers of a stream": len(seconds), "p50 s": f"{p50:.1f}",
             "p99 s": f"{p99:.1f}", "most s": f"{max(seconds):.1f}"}]  # fmt: skip
    figures = [
        Figure(
            "a stream stands still when its worker is killed, p50", "s", GOAL_P50, seconds, at_most=True,
            counted="takeovers",
        ),
        Figure(f"the same, p99 of {len(seconds)} takeovers", "s", GOAL_P99, [p99], at_most=True),
    ]  # fmt: skip
    return report("takeover", figures, rows, wrong, settings, kills=options.kills)


async def measure(bench: Rig, settings: Settings, clip: Clip, kills: int) -> tuple[list[float], list[str]]:
    seconds: list[float] = []
    with bench.started(settings) as first, bench.started(settings) as second:
        filming = asyncio.create_task(film(settings, clip))
        try:
            for _ in range(kills):
                seconds += await takeover(bench, settings, [first, second])
        finally:
            filming.cancel()
        found = [decode(Faces, record.value) for record in await bench.faces(settings)]
    # It is the last frame that is shown all the time.
    empty = sum(len(faces) != clip.faces[-1] for faces in found)
    return seconds, [f"{empty} of {len(found)} frames have not the faces that are there"] if empty else []


async def takeover(bench: Rig, settings: Settings, workers: list[Started]) -> list[float]:
    """Kill the worker that has more streams; return the seconds until each of them goes on."""
    for worker in workers:
        await worker.until_ready()
    owners = await settled(workers)
    victim = max(workers, key=lambda worker: len(owners[worker]))
    killed = time.time()
    victim.kill()
    after = await first_faces(bench, settings, set(owners[victim]), killed)
    victim.start()
    return [at - killed for at in after]


async def settled(workers: list[Started]) -> dict[Started, list[str]]:
    """Wait until every stream is live; return which worker has which."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        streams = await asyncio.to_thread(listed, workers[0].settings.address)
        live = {one["name"]: one["worker"].rpartition(":")[2] for one in streams if one["state"] == "live"}
        owners = {
            worker: [name for name, port in live.items() if port == str(worker.settings.web_port)]
            for worker in workers
        }
        if sum(map(len, owners.values())) == len(STREAMS) and all(owners.values()):
            return owners
        await asyncio.sleep(0.2)
    raise SystemExit("the streams do not go on, or one worker has them all")


def listed(address: str) -> list[dict]:
    with urllib.request.urlopen(f"{address}/streams") as answer:
        return json.load(answer)["streams"]


async def first_faces(bench: Rig, settings: Settings, streams: set[str], since: float) -> list[float]:
    """Return when each stream's first faces of a frame captured after `since` were written, seconds."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found: dict[str, float] = {}
        for record in await bench.faces(settings):
            faces = decode(Faces, record.value)
            if faces.stream in streams and faces.captured / 1000 > since:
                found.setdefault(faces.stream, record.timestamp / 1000)
        if set(found) == streams:
            return list(found.values())
        await asyncio.sleep(0.2)
    raise SystemExit("a stream was never taken over")


async def film(settings: Settings, clip: Clip) -> None:
    """Write live streams until cancelled."""
    picture = clip.jpegs()[-1]
    async with producer_for(settings) as producer:
        seq = 0
        while True:
            for stream in STREAMS:
                at = {"captured": int(time.time() * 1000), "pts": 0}
                await send_frame(producer, settings, picture, stream=stream, seq=seq, live=True, **at)
            seq += 1
            await asyncio.sleep(1 / FPS)


if __name__ == "__main__":
    sys.exit(run_benchmark(main(), minutes=40))
