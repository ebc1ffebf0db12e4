"""Who was there on three videos whose people were counted by hand: visits, names, and embeddings made.

A worker works on each video twice, from its file through Kafka: with every face embedded, and with those that
are due. One person of a video is enrolled with their picture at some moment of it.
"""

import argparse
import asyncio
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from _clip import decoded
from _report import Figure, not_run, report
from _rig import Rig, enrol_photo, rig, run_benchmark

from app.messages import Faces, Gate, Identifications, decode
from app.models import encode_jpeg
from app.settings import ROOT, Settings
from app.topics import Topics
from app.tracking import pooled

GOAL_EMBEDDED, GOAL_NAMED, GOAL_POOLED = 0.25, 1.0, 1.0
#: Faces of a tracklet from which on it is cut in two, and how many of a half are pooled.
CUT, POOLED = 20, 8
#: Seconds by which two runs may differ in when a visit began or ended.
SAME = 0.5


@dataclass(frozen=True)
class Video:
    """A video: the people that were counted on it, and the picture of who is enrolled, if anybody is."""

    visits: int
    frame: int = 0
    box: tuple[int, int, int, int] | None = None


#: The pianist is one of the first video's seven, small; the last one shows people from behind.
VIDEOS: Mapping[str, Video] = {
    "short_hamilton_clip": Video(7, 14, (470, 0, 620, 180)),
    "mobileface_friends1": Video(6, 115, (350, 50, 680, 420)),
    "intel_one-by-one-person-detection": Video(0),
}


@dataclass(frozen=True)
class Played:
    """What a worker has made of a video."""

    passed: int
    embedded: int
    sightings: list[dict[str, Any]]
    #: Seconds from the first frame of who is enrolled to the first on which they are named; names by frame.
    named_after: float | None
    names: set[str | None]

    #: When the first frame was captured, milliseconds since the epoch.
    start: int
    #: Of each half of each tracklet, cosine similarities to the best face of the other half: of the pooled
    #: frames, and of the best one of them.
    halves: list[tuple[float, float]]

    @property
    def outline(self) -> list[tuple[str, float, float]]:
        """Who was there, and from when to when, in seconds from the first frame."""
        return sorted(
            (one["name"] or "", (one["first"] - self.start) / 1000, (one["last"] - self.start) / 1000)
            for one in self.sightings
        )

    def is_like(self, other: "Played") -> bool:
        """Tell whether both have the same visits; they see the frames at slightly other times."""
        pairs = list(zip_longest(self.outline, other.outline, fillvalue=("nobody", 0.0, 0.0)))
        return all(
            one[0] == two[0] and max(abs(one[1] - two[1]), abs(one[2] - two[2])) <= SAME for one, two in pairs
        )


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "video")
    options = parser.parse_args()
    if missing := [name for name in VIDEOS if not (options.data / f"{name}.mp4").is_file()]:
        return not_run(f"no {missing[0]}.mp4 in {options.data}")
    async with rig() as bench:
        played = {
            name: {
                embed: await play(bench, options.data / f"{name}.mp4", video, embed)
                for embed in ("every", "due")
            }
            for name, video in VIDEOS.items()
        }
        return conclude(played, bench.settings())


async def play(bench: Rig, path: Path, video: Video, embed: str) -> Played:
    """Let a worker work on a video."""
    settings = bench.settings(embed=embed, enrol_face=40, sighting_update=0.0)
    pictures = await asyncio.to_thread(lambda: [*decoded(path)])
    async with bench.worker(settings), aiohttp.ClientSession(settings.address) as session:
        if video.box is not None:
            left, top, right, bottom = video.box
            photo = encode_jpeg(pictures[video.frame][top:bottom, left:right].copy(), 95)
            await enrol_photo(settings, "Enrolled", photo)
        with bench.source(settings, str(path), "--stream", path.stem):
            while len(await bench.faces(settings)) < len(pictures):  # noqa: ASYNC110
                await asyncio.sleep(1)
        sightings = await ended(session)
    faces = [decode(Faces, record.value) for record in await bench.faces(settings)]
    records = await bench.records(settings, Topics(settings).identifications)
    told = [decode(Identifications, record.value) for record in records]
    return Played(
        sum(int(np.isin(one.gates, [Gate.PASSED, Gate.FOLLOWED]).sum()) for one in faces),
        sum(int((one.gates == Gate.PASSED).sum()) for one in faces),
        sightings,
        named_after(sightings, told),
        {name for one in told for name in one.names},
        min(one.captured for one in faces),
        cut_in_two(faces),
    )


def cut_in_two(faces: list[Faces]) -> list[tuple[float, float]]:
    """Hold what the frames of somebody are pooled to against a picture of them from another moment."""
    rows: defaultdict[int, list[tuple[float, Any]]] = defaultdict(list)
    for one in sorted(faces, key=lambda one: one.captured):
        if one.tracklets is not None and one.quality is not None:
            for row in np.flatnonzero(one.gates == Gate.PASSED).tolist():
                embedding = one.embeddings[row].astype(np.float32)
                rows[int(one.tracklets[row])].append((float(one.quality[row]), embedding))
    found = []
    for seen in rows.values():
        first, last = seen[: len(seen) // 2], seen[len(seen) // 2 :]
        for half, other in ((first, last), (last, first)) if len(seen) >= CUT else ():
            probe = max(other, key=lambda face: face[0])[1]
            best = sorted(half, key=lambda face: -face[0])[:POOLED]
            template = pooled(
                np.stack([face for _, face in best]), np.array([quality for quality, _ in best])
            )
            found.append((float(template @ probe), float(best[0][1] @ probe)))
    return found


async def ended(session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    """Return the sightings, when the stream has fallen silent and all of them have ended."""
    await asyncio.sleep(1)
    while True:
        async with session.get("/sightings") as response:
            found: list[dict[str, Any]] = (await response.json())["sightings"]
        if not any(one["open"] for one in found):
            return found
        await asyncio.sleep(0.5)


def named_after(sightings: list[dict[str, Any]], told: list[Identifications]) -> float | None:
    seen = [one["first"] for one in sightings if one["person"]]
    named = [one.captured for one in told if any(one.people)]
    return (min(named) - min(seen)) / 1000 if seen and named else None


def conclude(played: Mapping[str, Mapping[str, Played]], settings: Settings) -> int:
    rows, wrong = [], []
    for name, ways in played.items():
        video = VIDEOS[name]
        for embed, one in ways.items():
            changes = sum(len(sighting["changes"]) for sighting in one.sightings)
            rows.append({
                "video": name, "embedded": embed, "faces": one.passed, "embeddings": one.embedded,
                "visits": f"{len(one.sightings)} of {video.visits}", "changes of a name": changes,
                "named after s": "" if one.named_after is None else f"{one.named_after:.2f}",
            })  # fmt: skip
            where = f"{name}, embed={embed}"
            wrong += [f"{where}: {len(one.sightings)} visits"] * (len(one.sightings) != video.visits)
            wrong += [f"{where}: {changes} names changed"] * bool(changes)
            people = [sighting["name"] for sighting in one.sightings if sighting["name"]]
            expected = ["Enrolled"] * (video.box is not None)
            wrong += [f"{where}: named are {people}"] * (people != expected)
        wrong += [f"{name}: other visits where not every face is embedded"] * (
            not ways["every"].is_like(ways["due"])
        )
    made, all_of_them = (sum(ways[embed].embedded for ways in played.values()) for embed in ("due", "every"))
    after = [
        one.named_after for ways in played.values() for one in ways.values() if one.named_after is not None
    ]
    halves = [pair for ways in played.values() for pair in ways["every"].halves]
    by_pool, by_best = (sum(pair[number] for pair in halves) for number in (0, 1))
    figures = [
        Figure(f"similarity of {POOLED} frames of a visit, pooled, to the person at another moment",
               "of the best frame's", GOAL_POOLED, [by_pool / max(by_best, 1e-9)]),
        Figure("embeddings made for the same visits and names, three videos", "of all faces", GOAL_EMBEDDED,
               [made / max(all_of_them, 1)], at_most=True),
        Figure("who is enrolled is named after", "s", GOAL_NAMED, after or [float("inf")], at_most=True,
               counted="videos, each twice"),
    ]  # fmt: skip
    return report("videos", figures, rows, wrong, settings)


if __name__ == "__main__":
    sys.exit(run_benchmark(main(), minutes=20))
