"""From a frame's capture to its sighting event in a real browser, one live stream at ten frames a second.

The demonstration camera writes ten frames a second; one of its people is enrolled. The worker tells of a
sighting with every frame (by default once a second), and Chromium, with Onlooker's page open and live beside
it, notes when the event arrives. Only events of that person count; a frame that was skipped is one of
any age. Camera, broker, worker and browser share the machine and its clock.
"""

import argparse
import asyncio
import shutil
import sys

import aiohttp
import numpy as np
from _report import Figure, not_run, report
from _rig import enrol, rig, run_benchmark
from playwright.async_api import async_playwright

from app.settings import Settings

GOAL_P50, GOAL_P99 = 150.0, 400.0
FPS = 10
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]

#: Notes, for every event of an open sighting of a person, how long ago its latest frame was captured.
LISTEN = """
(person) => {
  window.ages = [];
  new EventSource("/events").addEventListener("sighting", (event) => {
    const sighting = JSON.parse(event.data);
    if (!sighting.open || sighting.person !== person) return;
    window.ages.push(performance.timeOrigin + performance.now() - sighting.last);
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
        with bench.worker(settings), bench.source(settings, "demo", "--stream", "demo", "--fps", str(FPS)):
            person = await enrol(settings)
            page = "/healthz" if options.blank else "/"
            rounds = [await measure(settings, person, options.events, page) for _ in range(options.rounds)]
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
        "latency", figures, rows, sighting_update=0.0, threads=options.threads, page=not options.blank,
        events=options.events,
    )  # fmt: skip


async def measure(settings: Settings, person: str, events: int, page: str) -> dict[str, float]:
    """Return the figures of one round."""
    before = await skipped(settings)
    ages = await listen(settings, person, events, page)
    lost = await skipped(settings) - before
    told = len(ages)
    ages += [float("inf")] * lost
    figures = {f"p{part} ms": float(np.percentile(ages, part, method="higher")) for part in (50, 90, 99)}
    return {"events": told, "skipped": lost, **figures, "most ms": max(ages)}


async def skipped(settings: Settings) -> int:
    """Return how many frames of the camera have been skipped."""
    async with aiohttp.ClientSession(settings.address) as session, session.get("/streams") as response:
        streams = (await response.json())["streams"]
    return sum(sum(stream["skipped"].values()) for stream in streams if stream["name"] == "demo")


async def listen(settings: Settings, person: str, wanted: int, path: str) -> list[float]:
    chromium = shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page()
        await page.goto(settings.address + path)
        # Loading the page and the first seconds of its life are not what is measured.
        await page.wait_for_timeout(5000)
        await page.evaluate(LISTEN, person)
        ages: list[float] = []
        while len(ages) < wanted:
            await asyncio.sleep(5)
            ages = await page.evaluate("window.ages")
        await browser.close()
    return ages


if __name__ == "__main__":
    sys.exit(run_benchmark(main(), minutes=30))
