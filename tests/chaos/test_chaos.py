"""Workers and Kafka are killed while a recording is worked through: nothing is lost, nothing doubled."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, Worker, count_messages, read_topic

from app.broker import Broker, free_port
from app.messages import Faces, Person, Sighting, decode
from app.settings import Settings
from app.tables.gallery import Gallery
from app.topics import Topics, TopicSpec
from app.tracking.stays import Moment, Seen, Stays

FRAMES = 275
KILLED_AT = (40, 120, 200)


@pytest.fixture
async def kafka(jars: Path, tmp_path: Path) -> AsyncIterator[Broker]:
    """Yield a broker that the test may kill and start again."""
    async with Broker(tmp_path / "broker", free_port(), jars) as kafka:
        yield kafka


async def reach(cluster: Cluster, count: int, within: float = 60) -> None:
    """Wait until the faces of so many frames are on the log."""
    async with asyncio.timeout(within):
        while await count_messages(cluster.settings, Topics(cluster.settings).faces) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def until_done(cluster: Cluster, worker: Worker) -> None:
    """Wait until every frame has its faces, and every sighting has ended."""
    async with asyncio.timeout(60):
        while len(await faces_by_frame(cluster)) < FRAMES:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        while any(seen["open"] for seen in worker.get("/sightings")["sightings"]):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def records(cluster: Cluster, topic: TopicSpec) -> list[bytes]:
    return [record.value or b"" for record in await read_topic(cluster.settings, topic)]


async def faces_by_frame(cluster: Cluster) -> dict[int, list[Faces]]:
    found: dict[int, list[Faces]] = {}
    for value in await records(cluster, Topics(cluster.settings).faces):
        faces = decode(Faces, value)
        found.setdefault(faces.offset, []).append(faces)
    return found


async def check(cluster: Cluster, worker: Worker, person: str) -> None:
    """Compare what is on the log with what an undisturbed run would have written."""
    topics = Topics(cluster.settings)
    frames = [record.offset for record in await read_topic(cluster.settings, topics.frames)]
    faces = await faces_by_frame(cluster)
    assert len(frames) == FRAMES
    assert sorted(faces) == sorted(frames)
    for copies in faces.values():
        assert {copy.seq for copy in copies} == {copies[0].seq}
        assert {copy.boxes.tobytes() for copy in copies} == {copies[0].boxes.tobytes()}
    repeated = sum(len(copies) for copies in faces.values()) - FRAMES
    assert repeated <= 40 * len(KILLED_AT), "far more is repeated than was in flight"
    assert await records(cluster, topics.dead_letters) == []

    written: dict[str, Sighting] = {}
    for value in await records(cluster, topics.sightings):
        sighting = decode(Sighting, value)
        written[sighting.id] = sighting
    expected = await undisturbed(cluster, [faces[offset][0] for offset in frames], person)
    assert {seen.person for seen in expected.values()} == {None, person}
    assert outline(written) == outline(expected)
    listed = worker.get("/sightings")["sightings"]
    assert {seen["id"] for seen in listed} == set(expected)


def outline(sightings: dict[str, Sighting]) -> set[tuple[Any, ...]]:
    return {
        (seen.id, seen.stream, seen.person, seen.first, seen.last, seen.open) for seen in sightings.values()
    }


async def undisturbed(cluster: Cluster, recording: list[Faces], person: str) -> dict[str, Sighting]:
    """Return the sightings that the faces make when nothing goes wrong."""
    settings = cluster.settings
    gallery = Gallery(recording[0].embedder, 0.49, settings.margin)
    changelog = TopicSpec(f"{settings.app_id}-identities-changelog", "", "", 1)
    for value in await records(cluster, changelog):
        await gallery.put(decode(Person, value))
    assert set(gallery.people) == {person}
    stays = new_stays(settings, gallery)
    told: list[Sighting] = []
    for faces in recording:
        moment = Moment(faces.stream, faces.partition, faces.offset, faces.captured)
        seen = [
            Seen(match.person, match.name, match.similarity, match.nearest, 1.0, None)
            for match in gallery.name(faces)
            if match
        ]
        told += stays.observe(moment, seen)
    return {sighting.id: sighting for sighting in told + stays.close()}


def new_stays(settings: Settings, gallery: Gallery) -> Stays:
    gap, update = int(settings.sighting_gap * 1000), int(settings.sighting_update * 1000)
    return Stays(gap, update, settings.unknown_frames, gallery.threshold * 0.6)


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
    async with asyncio.timeout(30):
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
