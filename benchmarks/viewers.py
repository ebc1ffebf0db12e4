"""How much slower a worker gets when fifty viewers watch one stream.

The worker goes through a recording that is on the topic, alone and then with the viewers, each with a
connection of its own. The viewers run on the same machine and take their part of it as well.
"""

import argparse
import asyncio
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from _clip import Clip, add_clip, chosen_clip
from _report import Figure, report
from _rig import Rig, rig, run_benchmark

GOAL = 0.90
SKIP = 50

#: Least pictures a second that every viewer must be given while the worker has frames.
LEAST_FPS = 2.0

#: Reads MJPEG from so many connections and counts the JPEGs of each; at the end of its input it prints the
#: least number that a viewer got, and for how many seconds it watched.
VIEWERS = """
import selectors, socket, sys, time
host, port, path, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
selector = selectors.DefaultSelector()
pictures, tails = {}, {}
for _ in range(count):
    viewer = socket.create_connection((host, port))
    viewer.sendall(f"GET {path} HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n".encode())
    selector.register(viewer, selectors.EVENT_READ)
    pictures[viewer], tails[viewer] = 0, b""
selector.register(sys.stdin, selectors.EVENT_READ)
print("watching", flush=True)
begin, buffer = time.monotonic(), bytearray(1 << 18)
while True:
    for key, _ in selector.select():
        if key.fileobj is sys.stdin:
            print(min(pictures.values()), time.monotonic() - begin, flush=True)
            sys.exit(0)
        length = key.fileobj.recv_into(buffer)
        if not length:
            sys.exit("a viewer was sent away")
        # The end of a JPEG, also where it came in two parts.
        text = tails[key.fileobj] + buffer[:length]
        pictures[key.fileobj] += text.count(b"\\xff\\xd9\\r\\n")
        tails[key.fileobj] = bytes(text[-3:])
    time.sleep(0.05)
"""


@dataclass(frozen=True)
class Run:
    """How quick a worker was, and what its viewers saw."""

    rate: float
    #: Pictures a second of the viewer who got fewest; None without viewers.
    seen: float | None
    wrong: list[str]


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_clip(parser)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    clip = chosen_clip(options.clip)
    pairs: list[tuple[Run, Run]] = []
    async with rig() as bench:
        for number in range(options.rounds):
            runs = {}
            for viewers in (0, options.viewers) if number % 2 == 0 else (options.viewers, 0):
                runs[viewers] = await speed(bench, clip, viewers)
            pairs.append((runs[0], runs[options.viewers]))
        settings = bench.settings()
    rows = [
        {
            "round": number,
            "alone": f"{alone.rate:.1f}",
            "watched": f"{watched.rate:.1f}",
            "ratio": f"{watched.rate / alone.rate:.3f}",
            "pictures/s, worst viewer": f"{watched.seen:.1f}",
        }
        for number, (alone, watched) in enumerate(pairs, 1)
    ]
    what = f"speed with {options.viewers} viewers of one stream, of the speed without"
    figure = Figure(what, "of it", GOAL, [watched.rate / alone.rate for alone, watched in pairs])
    wrong = [reason for pair in pairs for run in pair for reason in run.wrong]
    return report("viewers", [figure], rows, wrong, settings, clip=clip.path.name, viewers=options.viewers)


async def speed(bench: Rig, clip: Clip, viewers: int) -> Run:
    """Return frames a second of a worker whose stream is watched by so many."""
    settings = bench.settings()
    count = await bench.fill(settings, "clip", clip.jpegs(), 3)
    async with bench.worker(settings):
        # The rate is that of the last two thirds: viewers can come only once the stream is known.
        await bench.rate(settings, SKIP, 0)
        if not viewers:
            rate = await bench.rate(settings, count, count // 3)
            return Run(rate, None, await bench.wrong(settings, clip))
        with watching(settings.address, viewers) as process:
            rate = await bench.rate(settings, count, count // 3)
            least, seconds = map(float, (await asyncio.to_thread(process.communicate, ""))[0].split())
        wrong = await bench.wrong(settings, clip)
        if least / seconds < LEAST_FPS:
            wrong.append(f"a viewer was given {least / seconds:.1f} pictures a second")
        return Run(rate, least / seconds, wrong)


@contextmanager
def watching(address: str, viewers: int) -> Iterator["subprocess.Popen[str]"]:
    """Let so many watch; what they saw is on the output once the input ends."""
    place = urllib.parse.urlsplit(address)
    command = [sys.executable, "-c", VIEWERS, str(place.hostname), str(place.port), "/streams/clip.mjpeg"]
    with subprocess.Popen(
        [*command, str(viewers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            if process.stdout is None or process.stdout.readline().strip() != "watching":
                raise SystemExit("the viewers could not connect")
            yield process
            if process.returncode:
                raise SystemExit("the viewers went away")
        finally:
            process.kill()


if __name__ == "__main__":
    sys.exit(run_benchmark(main(), minutes=30))
