"""A recording goes through the real nets while workers and Kafka are killed: nothing is lost or doubled."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from chaos.log import Log, read_log
from cluster import PATIENCE, Cluster, Worker, count_messages, read_topic
from machine import patience

from app.application import visit_rules
from app.broker import Broker, free_port
from app.messages import Person, Sighting, decode
from app.models.chosen import chosen_nets
from app.tables.gallery import Gallery
from app.topics import Topics
from app.tracking.visits import VisitTracker

FRAMES = 275
KILLED_AT = (40, 120, 200)


@pytest.fixture
async def kafka(jars: Path, tmp_path: Path) -> AsyncIterator[Broker]:
    """Yield a broker that the test may kill and start again."""
    async with Broker(tmp_path / "broker", free_port(), jars) as kafka:
        yield kafka


async def reach(cluster: Cluster, count: int) -> None:
    """Wait until the faces of so many frames are on the log."""
    async with patience(PATIENCE):
        while await count_messages(cluster.settings, Topics(cluster.settings).faces) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def until_done(cluster: Cluster, worker: Worker) -> None:
    """Wait until every frame has its faces, and every sighting has ended."""
    async with patience(PATIENCE):
        while len((await read_log(cluster.settings)).faces) < FRAMES:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        while any(seen["open"] for seen in worker.get("/sightings")["sightings"]):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def check(cluster: Cluster, worker: Worker, person: str) -> None:
    """Compare what is on the log with what an undisturbed run would have written."""
    log = await read_log(cluster.settings)
    assert len(log.frames) == FRAMES
    assert log.faces.keys() == log.frames
    for copies in log.faces.values():
        assert {copy.seq for copy in copies} == {copies[0].seq}
        assert {copy.boxes.tobytes() for copy in copies} == {copies[0].boxes.tobytes()}
    repeated = sum(len(copies) for copies in log.faces.values()) - FRAMES
    assert repeated <= 40 * len(KILLED_AT), "far more is repeated than was in flight"
    assert (log.letters, log.other_letters) == ({}, [])

    expected = await undisturbed(cluster, log)
    assert {seen.person for seen in expected} == {None, person}
    assert outline(log.newest()) == outline(expected)
    listed = worker.get("/sightings")["sightings"]
    assert {seen["id"] for seen in listed} == {seen.id for seen in expected}


def outline(sightings: Sequence[Sighting]) -> set[tuple[Any, ...]]:
    return {
        (seen.id, seen.stream, seen.person, seen.first, seen.last, seen.frames, seen.open)
        for seen in sightings
    }


async def undisturbed(cluster: Cluster, log: Log) -> list[Sighting]:
    """Return the sightings that the faces make when nothing goes wrong."""
    settings = cluster.settings
    embedder = chosen_nets(settings).embedder
    gallery = Gallery(embedder.identity, embedder.threshold_or(None), settings.margin)
    for record in await read_topic(settings, Topics(settings).identities):
        await gallery.put(decode(Person, record.value))
    visits = VisitTracker(visit_rules(settings, embedder))
    newest: dict[str, Sighting] = {}
    # Those that came twice, too: from there on faces are followed under other numbers.
    for faces in (copy for place in sorted(log.faces) for copy in log.faces[place]):
        observed = visits.observe(faces, 0, gallery.embedder, gallery.version)
        if observed is not None:
            matches = await gallery.match(observed.templates, observed.sizes) if observed.undecided else []
            newest |= {one.id: one for one in visits.decide(observed, matches, gallery.has)}
    return [*(newest | {sighting.id: sighting for sighting in visits.close(0)}).values()]


async def test_workers_are_killed_and_others_go_on(
    broker: Broker, tmp_path: Path, clip: Path, portrait: bytes
) -> None:
    with Cluster(broker.url, tmp_path) as cluster:
        workers = [cluster.worker(), cluster.worker()]
        for worker in workers:
            worker.until_ready()
        person = workers[0].enrol("Barack Obama", portrait)["id"]
        cluster.play(clip, "recording")
        for count in KILLED_AT:
            await reach(cluster, count)
            victim = await owner(workers)
            victim.kill()
            assert await count_messages(cluster.settings, Topics(cluster.settings).faces) < FRAMES
            victim.start()
        await reach(cluster, FRAMES)
        for worker in workers:
            worker.until_ready()
        await until_done(cluster, workers[0])
        for worker in workers:
            await check(cluster, worker, person)


async def owner(workers: list[Worker]) -> Worker:
    """Return the worker that has the stream, as any of them says."""
    async with patience(30):
        while True:
            for worker in workers:
                if not worker.ready():
                    continue
                port = worker.stream("recording").get("worker", "").rpartition(":")[2]
                if found := [one for one in workers if str(one.port) == port]:
                    return found[0]
            await asyncio.sleep(0.05)


async def test_kafka_is_killed_and_started_again(
    kafka: Broker, tmp_path: Path, clip: Path, portrait: bytes
) -> None:
    with Cluster(kafka.url, tmp_path) as cluster:
        worker = cluster.worker().until_ready()
        person = worker.enrol("Barack Obama", portrait)["id"]
        source = cluster.source(clip, "recording", "--fps", "60")
        await reach(cluster, 60)
        assert kafka.pid is not None
        os.kill(kafka.pid, signal.SIGKILL)
        await kafka.wait()
        await kafka.start()
        assert await asyncio.to_thread(source.wait) == 0
        await until_done(cluster, worker)
        await check(cluster, worker, person)
