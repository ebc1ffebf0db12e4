"""Several workers on one Kafka: they share the work, and know the same people."""

import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cluster import PATIENCE, Cluster, Worker, name_on, wait_for
from conftest import frozen, run_apart, running_broker
from machine import SLOWNESS, load
from makers import axis, make_enrolment

from app.broker import Broker
from app.kafka import SHUTDOWN, make_producer
from app.messages import encode
from app.models.images import decode_jpeg
from app.settings import Settings
from app.topics import Topics

#: More than a worker enrols between two looks.
ENROLMENTS = 1000


@pytest.fixture(scope="module")
def cluster(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(broker.url, tmp_path_factory.mktemp("workers")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def pair(cluster: Cluster) -> tuple[Worker, Worker]:
    """Return two workers, both ready."""
    first, second = cluster.worker(), cluster.worker()
    return first.until_ready(), second.until_ready()


@pytest.fixture(scope="module")
def streams(cluster: Cluster, pair: tuple[Worker, Worker], audience: Path) -> tuple[str, str]:
    """Play two streams, one on each partition, and return their names."""
    names = name_on(0), name_on(1)
    for name in names:
        cluster.source(audience, name, "--loop", "--fps", f"{load(10):.2f}")
    for worker in pair:
        wait_for("both streams", lambda worker=worker: all(worker.stream(name) for name in names))
    return names


def named(worker: Worker, person: str) -> set[str]:
    """Return the streams on which a worker says that a person was seen."""
    return {seen["stream"] for seen in worker.get(f"/sightings?person={person}")["sightings"]}


def draws(worker: Worker, stream: str, person: str) -> bool:
    """Wait for a picture of a stream that names a person, and tell whether it came."""
    url = f"{worker.url}/streams/{stream}.mjpeg?person={person}"
    with urllib.request.urlopen(url, timeout=30 * SLOWNESS) as answer:
        # Every ten seconds an empty line.
        return any(answer.readline() == b"--frame\r\n" for _ in range(6))


def people(worker: Worker) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = worker.get("/people")["people"]
    return found


def forget_everybody(pair: tuple[Worker, Worker]) -> None:
    """Remove whom other tests have left enrolled."""
    for one in people(pair[0]):
        pair[0].delete(f"/people/{one['id']}")
    for worker in pair:
        wait_for("nobody to be known", lambda worker=worker: not people(worker))


def ended(worker: Worker) -> list[dict[str, Any]]:
    """Return the sightings that are over, which do not change any more."""
    found = worker.get("/sightings?limit=1000")["sightings"]
    return sorted((seen for seen in found if not seen["open"]), key=lambda seen: str(seen["id"]))


def test_two_workers_share_the_streams_and_each_shows_both(
    pair: tuple[Worker, Worker], streams: tuple[str, str]
) -> None:
    ports = {str(worker.port) for worker in pair}

    def shared() -> bool:
        return {pair[0].stream(name)["worker"].rpartition(":")[2] for name in streams} == ports

    # One that has just come back has its stream a moment later.
    wait_for("each to have a stream", shared)
    for worker in pair:
        for name in streams:
            assert decode_jpeg(worker.fetch(f"/streams/{name}.jpg")).shape == (360, 640, 3)


@pytest.mark.parametrize("number", [0, 1], ids=["first", "second"])
def test_who_is_enrolled_through_one_is_known_and_named_by_both(
    pair: tuple[Worker, Worker], streams: tuple[str, str], portrait: bytes, number: int
) -> None:
    worker, other = pair[number], pair[1 - number]
    forget_everybody(pair)
    person = worker.enrol("Barack Obama", portrait)["id"]
    wait_for("the other worker to know them", lambda: [one["id"] for one in people(other)] == [person])
    wait_for("them to be seen on both streams", lambda: named(worker, person) == set(streams))
    wait_for("the other worker to say so", lambda: named(other, person) == set(streams))
    # Whichever worker identifies the stream.
    assert [draws(one, stream, person) for one in (worker, other) for stream in streams] == [True] * 4
    # The same face under two names would be neither.
    assert other.delete(f"/people/{person}") == {"id": person}
    wait_for("them to be gone", lambda: not people(worker))


@pytest.mark.parametrize("number", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("empty", [False, True], ids=["its-folder", "an-empty-folder"])
def test_a_worker_comes_back_with_people_and_history(
    cluster: Cluster,
    pair: tuple[Worker, Worker],
    streams: tuple[str, str],
    portrait: bytes,
    number: int,
    empty: bool,
) -> None:
    worker, other = pair[number], pair[1 - number]
    if not people(other):
        other.enrol("Barack Obama", portrait)
    wait_for("history", lambda: len(ended(worker)) >= 2)
    before, known = ended(worker), people(worker)
    assert worker.stop() == 0
    if empty:
        shutil.rmtree(cluster.folder / "data" / "workers" / str(worker.port))
    worker.start().until_ready()
    assert people(worker) == known

    def remembers() -> bool:
        now = ended(worker)
        return all(seen in now for seen in before)

    wait_for("its history", remembers)
    for name in streams:
        wait_for("its pictures", lambda name=name: worker.stream(name).get("state") == "live")


def refusal(wish: Callable[[], Any]) -> tuple[int, str]:
    """Return the status and the reason of what a worker refuses."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        wish()
    return refused.value.code, json.load(refused.value)["reason"]


def knows(worker: Worker) -> list[str]:
    """Return the names of whom a worker knows; one that has ended is started again, as `up` does it.

    It ends where it had an enrolment to write when others took over.
    """
    if worker.code is not None:
        assert "an enrolment could not be written before it was revoked" in worker.said()
        worker.start()
    try:
        return [one["name"] for one in people(worker)]
    except OSError:
        return []


def test_who_is_enrolled_and_removed_while_kafka_stands_still_is_so_when_it_goes_on(
    jars: Path, tmp_path: Path, portrait: bytes
) -> None:
    with running_broker(tmp_path / "broker", jars) as kafka, Cluster(kafka.url, tmp_path) as cluster:
        pair = cluster.worker(), cluster.worker()
        for worker in pair:
            worker.until_ready()
        leaves = pair[0].enrol("Leaves", portrait)["id"]
        wait_for("both to know them", lambda: all(people(worker) for worker in pair))
        with frozen(kafka):
            for wish in (
                lambda: pair[0].enrol("Leaves", portrait, id=leaves),
                lambda: pair[0].delete(f"/people/{leaves}"),
                lambda: pair[1].enrol("Comes", portrait),
            ):
                assert refusal(wish) == (503, "enrolment-not-confirmed")
        for worker in pair:
            wait_for("who came", lambda worker=worker: knows(worker) == ["Comes"])
            worker.until_ready()
        # They go on as before, and nothing comes late.
        late = pair[0].enrol("Late", portrait)["id"]
        for worker in pair:
            wait_for("who came late", lambda worker=worker: late in {one["id"] for one in people(worker)})
            assert [one["name"] for one in people(worker)] == ["Comes", "Late"]
            assert worker.code is None


def stopped_within(worker: Worker, seconds: float) -> bool:
    """Ask a worker to end, and tell whether it did so in time, and well."""
    began = time.monotonic()
    return worker.stop() == 0 and time.monotonic() - began < seconds * SLOWNESS


def test_a_worker_that_is_to_end_while_kafka_stands_still_ends(
    jars: Path, tmp_path: Path, audience: Path
) -> None:
    with running_broker(tmp_path / "broker", jars) as kafka, Cluster(kafka.url, tmp_path) as cluster:
        worker = cluster.worker().until_ready()
        # More than it gets through: it has faces that are not written, and frames that are in work.
        cluster.source(audience, "recording", "--loop", "--fps", "max")
        wait_for("the recording", lambda: worker.stream("recording").get("frames", 0) > 10)
        with frozen(kafka):
            assert stopped_within(worker, SHUTDOWN + 5)
        worker.start().until_ready()
        before = worker.stream("recording").get("frames", 0)
        wait_for("it to go on", lambda: worker.stream("recording").get("frames", 0) > before)


async def enrol_many(settings: Settings, count: int) -> None:
    """Put so many wishes to enrol somebody on the log."""
    async with make_producer(settings) as producer:
        for number in range(count):
            wish = make_enrolment(f"person-{number}", axis(0))
            await producer.send(Topics(settings).enrolments.name, encode(wish), wish.person.encode())


def test_a_worker_that_is_to_end_with_an_enrolment_under_way_while_kafka_stands_still_ends(
    jars: Path, tmp_path: Path
) -> None:
    with running_broker(tmp_path / "broker", jars) as kafka, Cluster(kafka.url, tmp_path) as cluster:
        worker = cluster.worker().until_ready()
        # One after the other: whenever Kafka stands still, one of them is being written.
        run_apart(enrol_many(cluster.settings, ENROLMENTS))
        wait_for("the first", lambda: people(worker))
        with frozen(kafka):
            assert len(people(worker)) < ENROLMENTS
            assert stopped_within(worker, SHUTDOWN + 5)
        worker.start().until_ready()
        wait_for("all to be enrolled", lambda: len(people(worker)) == ENROLMENTS)


@contextmanager
def watching(worker: Worker, stream: str) -> Iterator[list[bytes]]:
    """Watch a stream, with one connection; return the pictures' headers, which grow."""
    seen: list[bytes] = []
    with (
        urllib.request.urlopen(f"{worker.url}/streams/{stream}.mjpeg", timeout=PATIENCE * SLOWNESS) as answer,
        ThreadPoolExecutor(1) as thread,
    ):
        thread.submit(lambda: seen.extend(line for line in answer if line == b"--frame\r\n"))
        yield seen
        # Nothing else ends what waits for the next line.
        answer.fp.raw._sock.shutdown(socket.SHUT_RDWR)


def test_a_restart_of_kafka_needs_no_restart_of_the_worker(
    jars: Path, tmp_path: Path, audience: Path, portrait: bytes
) -> None:
    with running_broker(tmp_path / "broker", jars) as kafka, Cluster(kafka.url, tmp_path) as cluster:
        worker = cluster.worker().until_ready()
        person = worker.enrol("Barack Obama", portrait)["id"]
        # Slow enough for a machine that is busy with something else: a recording waits behind it.
        camera = cluster.source(audience, "camera", "--loop", "--fps", "3")
        wait_for("the camera", lambda: worker.stream("camera").get("frames", 0) > 10)
        with watching(worker, "camera") as pictures:
            wait_for("a viewer to see it", lambda: len(pictures) > 10)
            run_apart(kafka.stop())
            run_apart(kafka.start())
            seen = len(pictures)
            # As many as no buffer on the way holds, and the same viewer.
            wait_for("the viewer to see it go on", lambda: len(pictures) > seen + 30)

        after = worker.stream("camera")["frames"]
        wait_for("the camera to go on", lambda: worker.stream("camera")["frames"] > after + 10)
        assert [one["id"] for one in people(worker)] == [person]
        wait_for("somebody to be named", lambda: named(worker, person) == {"camera"})
        assert len(worker.enrol("Obama, again", portrait, id=person)["photos"]) == 1
        cluster.play(audience, "recording")
        wait_for("a recording", lambda: worker.stream("recording").get("frames") == 75)
        assert (worker.code, camera.code) == (None, None)
