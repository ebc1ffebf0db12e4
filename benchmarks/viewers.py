"""How much slower a worker gets when fifty viewers watch one stream.

The worker goes through a recording that is on the topic, alone and then with the viewers, each with a
connection of its own. The viewers run on the same machine and take their part of it as well.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import urllib.parse

from _report import report
from _rig import CLIP, Rig, jpegs_of, rig

GOAL = 0.90
SKIP = 50

#: Reads MJPEG from so many connections and throws it away; prints the bytes that came.
VIEWERS = """
import selectors, socket, sys, time
host, port, path, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
selector = selectors.DefaultSelector()
for _ in range(count):
    viewer = socket.create_connection((host, port))
    viewer.sendall(f"GET {path} HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n".encode())
    selector.register(viewer, selectors.EVENT_READ)
buffer = bytearray(1 << 18)
print("watching", flush=True)
while True:
    for key, _ in selector.select():
        if not key.fileobj.recv_into(buffer):
            sys.exit("a viewer was sent away")
    time.sleep(0.05)
"""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    jpegs = jpegs_of(CLIP)
    async with rig() as bench:
        pairs = [
            (await speed(bench, jpegs, 0), await speed(bench, jpegs, options.viewers))
            for _ in range(options.rounds)
        ]
    rows = [
        {
            "round": number,
            "alone": f"{alone:.1f}",
            "watched": f"{watched:.1f}",
            "ratio": f"{watched / alone:.3f}",
        }
        for number, (alone, watched) in enumerate(pairs, 1)
    ]
    ratio = statistics.median(watched / alone for alone, watched in pairs)
    more = {"clip": CLIP.name, "viewers": options.viewers, "rounds": options.rounds}
    report(
        "viewers", round(ratio, 3), GOAL, ratio >= GOAL, "of the frames a second without viewers", rows, more
    )


async def speed(bench: Rig, jpegs: list, viewers: int) -> float:
    """Return frames a second of a worker whose stream is watched by so many."""
    settings = bench.settings()
    count = await bench.fill(settings, "clip", jpegs, 3)
    with bench.worker(settings):
        # The rate is that of the last two thirds: viewers can come only once the stream is known.
        await bench.rate(settings, SKIP, 0)
        processes = [_watch(settings.address, viewers)] if viewers else []
        try:
            return await bench.rate(settings, count, count // 3)
        finally:
            for process in processes:
                if process.poll() is not None:
                    raise SystemExit("the viewers went away")
                process.kill()
                process.wait()


def _watch(address: str, viewers: int) -> "subprocess.Popen[str]":
    place = urllib.parse.urlsplit(address)
    arguments = [str(place.hostname), str(place.port), "/streams/clip.mjpeg", str(viewers)]
    process = subprocess.Popen([sys.executable, "-c", VIEWERS, *arguments], stdout=subprocess.PIPE, text=True)
    if process.stdout is None or process.stdout.readline().strip() != "watching":
        raise SystemExit("the viewers could not connect")
    return process


if __name__ == "__main__":
    asyncio.run(main())
