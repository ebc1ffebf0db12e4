"""From a frame's capture to its sighting event in a real browser, one live stream at ten frames a second.

The demonstration camera writes ten frames a second; one of its people is enrolled. The worker tells of
a sighting with every frame, and Chromium, with Onlooker's page open and live beside it, notes when the
event arrives. Camera, broker, worker and browser share the machine and its clock.
"""

import argparse
import asyncio
import json
import shutil

import aiohttp
import numpy as np
from _report import report
from _rig import rig
from playwright.async_api import async_playwright

from app.settings import Settings
from app.sources.demo import DEMO_PEOPLE, demo_photo

GOAL_P50, GOAL_P99 = 150.0, 400.0
FPS = 10
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]

#: Notes, for every event of an open sighting, how long ago its latest frame was captured.
LISTEN = """
() => {
  window.ages = [];
  new EventSource("/events").addEventListener("sighting", (event) => {
    const sighting = JSON.parse(event.data);
    if (sighting.open) window.ages.push(performance.timeOrigin + performance.now() - sighting.last);
  });
}
"""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=600)
    parser.add_argument("--threads", type=int, default=Settings().threads, help="threads of each net")
    parser.add_argument("--blank", action="store_true", help="without the page: the events alone")
    options = parser.parse_args()
    async with rig() as bench:
        settings = bench.settings(sighting_update=0.0, threads=options.threads)
        with bench.worker(settings), bench.source(settings, "demo", "--stream", "demo", "--fps", str(FPS)):
            await enrol(settings)
            ages = await listen(settings, options.events, "/healthz" if options.blank else "/")
    p50, p90, p99 = (float(np.percentile(ages, part)) for part in (50, 90, 99))
    figures = {"p50": p50, "p90": p90, "p99": p99, "max": max(ages)}
    rows = [{"events": len(ages), **{f"{name} ms": f"{figure:.0f}" for name, figure in figures.items()}}]
    more = {
        "fps": FPS,
        "events": len(ages),
        "p99": round(p99),
        "p99_goal": GOAL_P99,
        "page": not options.blank,
    }
    report("latency", round(p50), GOAL_P50, p50 <= GOAL_P50 and p99 <= GOAL_P99, "ms, median", rows, more)


async def enrol(settings: Settings) -> None:
    person = DEMO_PEOPLE[0]
    form = aiohttp.FormData({"name": person.name})
    form.add_field("photo", demo_photo(person.name).read_bytes(), filename=person.photo)
    async with (
        aiohttp.ClientSession(settings.address) as session,
        session.post("/people", data=form) as response,
    ):
        if response.status != 201:
            raise SystemExit(f"not enrolled: {json.dumps(await response.json())}")


async def listen(settings: Settings, wanted: int, path: str) -> list[float]:
    chromium = shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page()
        await page.goto(settings.address + path)
        # Loading the page and the first seconds of its life are not what is measured.
        await page.wait_for_timeout(5000)
        await page.evaluate(LISTEN)
        ages: list[float] = []
        while len(ages) < wanted:
            await asyncio.sleep(5)
            ages = await page.evaluate("window.ages")
        await browser.close()
    return ages


if __name__ == "__main__":
    asyncio.run(main())
