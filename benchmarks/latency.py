"""From a frame's capture to its sighting event in a real browser, one live stream at ten frames a second.

The demonstration camera writes ten frames a second; one of its people is enrolled. The worker tells of a
sighting with every frame (by default once a second), and Chromium, with Onlooker's page open and live beside
it, notes when the event arrives. Only events of that person count. A frame that was skipped is one of any
age, and so is one on which they stand before the camera and which no event tells of. Camera, broker, worker
and browser share the machine and its clock.
"""

import argparse
import asyncio
import shutil
import sys

import aiohttp
import numpy as np
from _report import Figure, not_run, report
from _rig import Rig, enrol, rig, run_benchmark
from playwright.async_api import async_playwright

from app.messages import Faces, decode
from app.settings import Settings
from app.sources.demo import DEMO_PEOPLE, standing

GOAL_P50, GOAL_P99 = 150.0, 400.0
FPS = 10
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]

#: Notes, for every event of a person's open sighting, when its latest frame was captured, and how long ago.
LISTEN = """
(person) => {
  window.told = [];
  new EventSource("/events").addEventListener("sighting", (event) => {
    const sighting = JSON.parse(event.data);
    if (!sighting.open || sighting.person !== person) return;
    window.told.push([sighting.last, performance.timeOrigin + performance.now() - sighting.last]);
  });
}
"""


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=300, help="of each round")
    parser.add_argument("--threads", type=int, default=Settings().threads, help="threads of each net")
    parser.add_argument("--blank", action="store_true", help="without the page: the events alone")
    options = parser.parse_args()
    if shutil.which("chromium") is None:
        return not_run("chromium is not installed")
    async with rig() as bench:
        settings = bench.settings(sighting_update=0.0, threads=options.threads)
        source = ("demo", "--stream", "demo", "--fps", str(FPS))
        async with bench.worker(settings):
            person = await enrol(settings)
            with bench.source(settings, *source):
                page = "/healthz" if options.blank else "/"
                rounds = [
                    await measure(bench, settings, person, options.events, page)
                    for _ in range(options.rounds)
                ]
    rows = [
        {"round": number} | {what: f"{figure:.0f}" for what, figure in one.items()}
        for number, one in enumerate(rounds, 1)
    ]
    beside = "in an empty browser" if options.blank else "in a browser with the page open"
    what = f"from capture to the sighting's event {beside}, {FPS} frames a second, each told of"
    figures = [
        Figure(f"{what}, p50", "ms", GOAL_P50, [one["p50 ms"] for one in rounds], at_most=True),
        Figure("the same, p99", "ms", GOAL_P99, [one["p99 ms"] for one in rounds], at_most=True),
    ]
    return report(
        "latency", figures, rows, settings=settings, page=not options.blank, events=options.events
    )  # fmt: skip


async def measure(bench: Rig, settings: Settings, person: str, events: int, page: str) -> dict[str, float]:
    """Return the figures of one round."""
    told, lost = await listen(settings, person, events, page)
    untold = await standing_between(bench, settings, min(told), max(told)) - told.keys()
    ages = [*told.values(), *[float("inf")] * (lost + len(untold))]
    figures = {f"p{part} ms": float(np.percentile(ages, part, method="higher")) for part in (50, 90, 99)}
    return {"events": len(told), "skipped": lost, "untold": len(untold), **figures, "most ms": max(ages)}


async def skipped(settings: Settings) -> int:
    """Return how many frames of the camera have been skipped."""
    async with aiohttp.ClientSession(settings.address) as session, session.get("/streams") as response:
        streams = (await response.json())["streams"]
    return sum(sum(stream["skipped"].values()) for stream in streams if stream["name"] == "demo")


async def standing_between(bench: Rig, settings: Settings, begin: int, end: int) -> set[int]:
    """Return the capture times, `begin` to `end`, of the frames on which the enrolled person stands."""
    found = [decode(Faces, record.value) for record in await bench.faces(settings)]
    return {
        faces.captured
        for faces in found
        if begin <= faces.captured <= end and DEMO_PEOPLE[0].name in standing(faces.seq / FPS)
    }


async def listen(settings: Settings, person: str, wanted: int, path: str) -> tuple[dict[int, float], int]:
    """Return how old each frame was, ms, when the browser was told of it, by the time of its capture.

    And how many were skipped meanwhile.
    """
    chromium = shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page()
        await page.goto(settings.address + path)
        # Loading the page and the first seconds of its life are not what is measured.
        await page.wait_for_timeout(5000)
        before = await skipped(settings)
        await page.evaluate(LISTEN, person)
        told: dict[int, float] = {}
        while len(told) < wanted:
            await asyncio.sleep(5)
            # The first event of a frame is what tells of it.
            told = {int(last): age for last, age in reversed(await page.evaluate("window.told"))}
        lost = await skipped(settings) - before
        await browser.close()
    return told, lost


if __name__ == "__main__":
    sys.exit(run_benchmark(main(), minutes=30))
