"""A cluster with the stand-in nets, the script that is played on it, and the account of what came of it."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chaos.account import Account, Shown, View
from chaos.crew import Crew, is_ready
from chaos.enrolment import enrol_everybody, restore_everybody
from chaos.log import Log, read_log
from chaos.scenario import Layout, Script, Shot, visits
from chaos.writer import Writer
from cluster import PATIENCE, Cluster, Worker, count_messages, wait_for
from machine import SLOWNESS

from app.topics import Topics

__all__ = ["Owner", "Stage"]

#: Seconds without anything new on the log after which nothing more is waited for: no takeover takes as long.
_QUIET = 30.0
#: Seconds that the web side may be behind the log.
_BEHIND = 15.0
_POLL = 0.3
_HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Owner:
    """A worker and the streams that it has."""

    worker: Worker
    streams: frozenset[str]


class Stage:
    """Where one run takes place, on topics of its own; to be used as a context."""

    def __init__(self, broker: str, folder: Path, layout: Layout, nets: Mapping[str, Any]) -> None:
        settings = {"partitions": layout.partitions, "enrol_face": 24, "device": "cpu", **nets}
        self.cluster = Cluster(broker, folder, **settings)
        self.crew = Crew(self.cluster)
        self.script = Script(layout.streams(), int(time.time()) * 1000 - _HOUR)
        self.writer = Writer(self.cluster.settings, self.script)
        self._people: dict[str, str] = {}
        self._kills: list[tuple[float, Owner]] = []
        #: When something was done last that may move streams; seconds since the epoch.
        self._moved = 0.0

    def __enter__(self) -> Self:
        self.cluster.__enter__()
        self.crew.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.crew.__exit__(kind, error, trace)
        self.cluster.__exit__(kind, error, trace)

    def restore(self) -> None:
        """Let everybody be enrolled before the first worker has run."""
        self._people = restore_everybody(self.cluster.settings)

    def staff(self, workers: int) -> None:
        """Start workers, wait until they are ready, and enrol everybody."""
        started = [self.crew.join() for _ in range(workers)]
        self.crew.until_ready()
        self._people = enrol_everybody(started[0])
        self.moved()

    def moved(self) -> None:
        """Take note that streams may have another owner from now on."""
        self._moved = time.time()

    def owners(self) -> list[Owner]:
        """Wait until every stream is being worked on, and return who works on which, the busiest first."""
        return wait_for("every stream to be worked on", self._owners)

    def until_has_streams(self, worker: Worker) -> None:
        """Wait until every stream is being worked on, and `worker` has its share."""
        what = f"{worker.name} to have streams"
        wait_for(what, lambda: any(owner.worker is worker and owner.streams for owner in self._owners()))

    def _owners(self) -> list[Owner]:
        """Return who works on which streams; nothing while that is not known of all."""
        ports: dict[str, str] = {}
        for worker in filter(is_ready, self.crew.members):
            for stream in worker.get("/streams")["streams"]:
                if stream["updated"] / 1000 > self._moved:
                    ports[stream["name"]] = stream["worker"].rpartition(":")[2]
        found = [
            Owner(worker, frozenset(name for name, port in ports.items() if port == str(worker.port)))
            for worker in self.crew.members
        ]
        complete = sum(len(owner.streams) for owner in found) == len(self.script.streams)
        return sorted(found, key=lambda owner: -len(owner.streams)) if complete else []

    def kill(self, owner: Owner) -> None:
        """Kill a worker that has streams, and measure when another one goes on with them."""
        self._kills.append((time.time(), owner))
        self.crew.kill(owner.worker)
        self.moved()

    def settle(self) -> Account:
        """Write the end of the script, wait until all is done, and settle the account."""
        self.writer.write(self.script.ending())
        log = asyncio.run(self._until_done())
        self.crew.until_ready()
        settings = self.cluster.settings
        shots = [self.writer.sent[place] for place in sorted(self.writer.sent)]
        expected = visits(
            [shot for shot in shots if isinstance(shot, Shot)],
            int(settings.sighting_gap * 1000),
            settings.unknown_frames,
        )
        views = [self._view(worker, log) for worker in self.crew.members]
        account = Account(self.writer.sent, log, expected, self._people, views)
        account.row.restarts = self.crew.restarts
        account.row.takeovers = [seconds for kill in self._kills for seconds in _takeovers(*kill, log)]
        return account

    async def _until_done(self) -> Log:
        """Wait until everything is done, or nothing more comes; return what is on the log then."""
        settings, sent = self.cluster.settings, self.writer.sent
        topics = Topics(settings)
        watched = (topics.faces, topics.dead_letters, topics.sightings)
        count, since, end = -1, time.monotonic(), time.monotonic() + (PATIENCE + len(sent) / 10) * SLOWNESS
        while True:
            await asyncio.sleep(_POLL)
            before, count = count, sum([await count_messages(settings, topic) for topic in watched])
            if count != before:
                since = time.monotonic()
            if count == before or time.monotonic() > end:
                log = await read_log(settings)
                if self._is_done(log) or time.monotonic() > min(since + _QUIET, end):
                    return log

    def _is_done(self, log: Log) -> bool:
        """Tell whether something came of every frame, all was taken in, and every visit has ended."""
        ended = not any(sighting.open for sighting in log.newest())
        return ended and all(map(log.outcomes, self.writer.sent)) and not log.uncommitted()

    def _view(self, worker: Worker, log: Log) -> View:
        """Return what a worker shows, once that is what is on the log or has had its time to become it."""
        newest = {sighting.id: Shown.of(sighting) for sighting in log.newest()}
        deadline = time.monotonic() + _BEHIND
        while True:
            view = self._shown(worker)
            known = view.people == self._people.keys()
            if (view.sightings == newest and known) or time.monotonic() > deadline:
                return view
            time.sleep(_POLL)

    def _shown(self, worker: Worker) -> View:
        found: dict[str, Shown] = {}
        for stream in self.script.streams:
            for one in worker.get(f"/sightings?stream={stream}&limit=1000")["sightings"]:
                found[one["id"]] = Shown(one["person"], one["first"], one["last"], one["frames"], one["open"])
        people = {person["id"] for person in worker.get("/people")["people"]}
        return View(worker.name, found, people)


def _takeovers(killed: float, owner: Owner, log: Log) -> list[float]:
    """Return after how many seconds faces of each stream of a killed worker were published again."""
    later = [[at for at in log.published.get(stream, ()) if at > killed] for stream in owner.streams]
    return [round(min(times) - killed, 2) for times in later if times]
