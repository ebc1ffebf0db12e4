"""How long `onlooker up` takes until the page can show somebody: the demonstration camera, and a face.

It is a start after the first one: nets, jars and photographs are there. Each has a data folder of its own.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

import aiohttp
from _report import Figure, report
from _rig import run_benchmark

from app.broker import free_port
from app.settings import ROOT

GOAL = 8.0
PATIENCE = 120.0


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    # The first one fetches and prepares what is missing.
    seconds = [await start() for _ in range(options.rounds + 1)][1:]
    rows = [{"start": number, "s": f"{took:.1f}"} for number, took in enumerate(seconds, 1)]
    what = "`make run` to the first annotated frame, from the second time on"
    figure = Figure(what, "s", GOAL, seconds, at_most=True, counted="starts")
    return report("start_up", [figure], rows)


async def start() -> float:
    """Start it, wait for a face on a picture, and end it; return the seconds."""
    with tempfile.TemporaryDirectory(prefix="onlooker-start-") as folder:
        port, broker_port = free_port(), free_port()
        (Path(folder) / "jars").symlink_to(ROOT / "var" / "jars")
        environment = os.environ | {
            "ONLOOKER_DATA_DIR": folder,
            "ONLOOKER_WEB_PORT": str(port),
            "ONLOOKER_BROKER_PORT": str(broker_port),
        }
        began = time.monotonic()
        with (Path(folder) / "up.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "app.cli", "up", env=environment, stdin=DEVNULL, stdout=log, stderr=log
            )
        try:
            await shown(f"http://127.0.0.1:{port}", process)
            return time.monotonic() - began
        finally:
            process.terminate()
            await process.wait()


async def shown(address: str, process: Process) -> None:
    """Wait until a stream has a picture with a face on it."""
    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession(address) as session:
        while process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get("/streams") as answer:
                    streams = (await answer.json())["streams"] if answer.status == 200 else []
                for stream in streams:
                    if stream.get("faces"):
                        async with session.get(f"/streams/{stream['name']}.jpg") as picture:
                            if picture.status == 200 and (await picture.read()).endswith(b"\xff\xd9"):
                                return
            await asyncio.sleep(0.05)
    raise SystemExit("`onlooker up` ended by itself")


if __name__ == "__main__":
    sys.exit(run_benchmark(main(), minutes=20))
