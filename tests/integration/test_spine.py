"""The spine on real Kafka: a recording and a camera in, faces, names, pictures and news out."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from camera import Camera
from cluster import Cluster, Worker, read_topic, wait_for
from machine import patience
from numpy.typing import NDArray

from app.broker import Broker
from app.messages import DeadLetter, Faces, Frame, Identifications, Sighting, decode, encode_frame
from app.models.images import decode_jpeg, encode_jpeg
from app.models.pipeline import load_recogniser
from app.settings import Settings
from app.topics import Topics
from app.web.events import parse_positions

FRAMES = 275
#: Obama listens in the last frames of the clip, and in none before.
OBAMA_FROM = 230
THRESHOLD = 0.49

Array = NDArray[Any]


@pytest.fixture(scope="module")
def cluster(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # So patient that a busy machine recognises late what it would not recognise else.
    with Cluster(broker.url, tmp_path_factory.mktemp("spine"), live_max_age=10) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def worker(cluster: Cluster) -> Worker:
    # At debug level Faust logs what it can: the last test reads all that the others made it write.
    return cluster.worker("debug").until_ready()


@pytest.fixture(scope="module")
def obama(worker: Worker, portrait: bytes) -> str:
    """Enrol somebody and return their id."""
    person: str = worker.enrol("Barack Obama", portrait)["id"]
    return person


@pytest.fixture(scope="module")
def recording(cluster: Cluster, worker: Worker, obama: str, clip: Path) -> str:
    """Play the clip as fast as it goes, and return the stream's name once it has been worked through."""
    cluster.play(clip, "recording")
    wait_for("the recording", lambda: worker.stream("recording").get("frames") == FRAMES)
    return "recording"


@pytest.fixture(scope="module")
def camera(cluster: Cluster, recording: str, worker: Worker, audience: Path) -> Iterator[str]:
    """Let a camera show the last frames of the clip again and again, and yield the stream's name."""
    with Camera(audience) as filming:
        cluster.source(filming.url(6), "camera")
        wait_for("the camera", lambda: worker.stream("camera").get("frames"))
        yield "camera"


@pytest.fixture(scope="module")
def template(portrait: bytes) -> Array:
    """Return the embedding of the photograph."""
    embeddings: Array = load_recogniser(Settings()).analyse(decode_jpeg(portrait)).embeddings
    return embeddings[0]


def is_there(faces: Faces, template: Array) -> bool:
    return len(faces) > 0 and bool((faces.embeddings.astype(np.float32) @ template).max() >= THRESHOLD)


async def faces_of(cluster: Cluster, stream: str) -> list[Faces]:
    records = await read_topic(cluster.settings, Topics(cluster.settings).faces)
    return [decode(Faces, record.value) for record in records if record.key == stream.encode()]


async def identified(cluster: Cluster, stream: str) -> list[Identifications]:
    records = await read_topic(cluster.settings, Topics(cluster.settings).identifications)
    return [decode(Identifications, record.value) for record in records if record.key == stream.encode()]


async def log_of_sightings(cluster: Cluster) -> list[tuple["ConsumerRecord[bytes, bytes]", Sighting]]:
    records = await read_topic(cluster.settings, Topics(cluster.settings).sightings)
    return [(record, decode(Sighting, record.value)) for record in records]


async def test_every_frame_has_its_faces_once_and_in_order(cluster: Cluster, recording: str) -> None:
    frames = await read_topic(cluster.settings, Topics(cluster.settings).recordings)
    written = [(r.partition, r.offset) for r in frames if r.key == recording.encode()]
    faces = await faces_of(cluster, recording)
    assert [(found.partition, found.offset) for found in faces] == written
    assert [found.seq for found in faces] == list(range(FRAMES))
    assert {(found.width, found.height) for found in faces} == {(640, 360)}


async def test_faces_are_embedded_and_few_crops_travel(cluster: Cluster, recording: str) -> None:
    faces = await faces_of(cluster, recording)
    norms = np.concatenate([np.linalg.norm(f.embeddings.astype(np.float32), axis=1) for f in faces])
    assert len(norms) > FRAMES
    assert np.all((np.abs(norms - 1) < 0.01) | (norms == 0))
    crops = [crop for found in faces for crop in found.crops if crop]
    assert 10 < len(crops) < len(norms) / 4
    assert {decode_jpeg(crop).shape for crop in crops} == {(112, 112, 3)}


async def test_who_is_enrolled_is_named_where_they_are_and_nowhere_else(
    cluster: Cluster, worker: Worker, recording: str, obama: str, template: Array
) -> None:
    faces = {found.captured: found for found in await faces_of(cluster, recording)}
    hits = [found.seq for found in faces.values() if is_there(found, template)]
    assert hits
    assert min(hits) >= OBAMA_FROM

    def closed() -> list[dict[str, Any]]:
        seen = worker.get(f"/sightings?person={obama}&stream={recording}")["sightings"]
        return [one for one in seen if not one["open"]]

    (seen,) = wait_for("their sighting to end", closed)
    assert (seen["name"], seen["unnamed"], seen["changes"]) == ("Barack Obama", None, [])
    # Not all of his faces are embedded: he is followed from one that is to the next.
    assert len(hits) < seen["frames"] <= FRAMES - OBAMA_FROM
    first, last = (faces[seen[end]].seq for end in ("first", "last"))
    assert OBAMA_FROM <= first <= hits[0]
    assert hits[-1] <= last
    assert 0.9 < seen["confidence"] <= 1
    assert seen["score"] >= THRESHOLD
    assert decode_jpeg(worker.fetch(seen["crop"])).shape == (112, 112, 3)


async def test_the_live_picture_names_whom_the_sightings_name_and_on_the_same_frames(
    cluster: Cluster, worker: Worker, recording: str, obama: str
) -> None:
    def closed() -> list[dict[str, Any]]:
        seen = worker.get(f"/sightings?person={obama}&stream={recording}")["sightings"]
        return [one for one in seen if not one["open"]]

    (seen,) = wait_for("their sighting to end", closed)
    faces, found = await faces_of(cluster, recording), await identified(cluster, recording)
    assert [(one.offset, len(one.people)) for one in found] == [(one.offset, len(one)) for one in faces]
    named = [one for one in found if obama in one.people]
    assert len(named) == seen["frames"]
    assert (named[0].captured, named[-1].captured) == (seen["first"], seen["last"])
    assert {name for one in found for name in one.names} == {None, "Barack Obama"}


def test_each_stranger_is_one_sighting_and_it_is_said_why_they_have_no_name(
    worker: Worker, recording: str
) -> None:
    def closed() -> list[dict[str, Any]]:
        seen = worker.get(f"/sightings?person=unknown&stream={recording}")["sightings"]
        return [] if any(one["open"] for one in seen) else seen

    # Three are on the stage, and then two listen; a busy worker must not break that up.
    found = wait_for("their sightings to end", closed)
    assert {(seen["person"], seen["name"], seen["score"]) for seen in found} == {(None, None, None)}
    assert sorted(round(seen["frames"], -1) for seen in found) == [80, 80, 200, 200, 200]
    assert {seen["unnamed"]["gate"] for seen in found} <= {"unlike", "small", "blurred", "turned"}
    assert all(worker.get(f"/sightings/{seen['id']}")["unnamed"] == seen["unnamed"] for seen in found)


async def test_a_stream_is_shown_as_one_annotated_picture(worker: Worker, camera: str) -> None:
    async with aiohttp.ClientSession(worker.url) as session, session.get(f"/streams/{camera}.jpg") as answer:
        assert answer.content_type == "image/jpeg"
        assert decode_jpeg(await answer.read()).shape == (360, 640, 3)


async def test_mjpeg_of_a_person_shows_no_frame_without_them(
    cluster: Cluster, worker: Worker, camera: str, obama: str
) -> None:
    shown: list[int] = []
    async with (
        patience(90),
        aiohttp.ClientSession(worker.url) as session,
        session.get(f"/streams/{camera}.mjpeg", params={"person": obama}) as answer,
    ):
        assert answer.content_type == "multipart/x-mixed-replace"
        reader = aiohttp.MultipartReader.from_response(answer)
        # For longer than the loop: they must have been away in between.
        while not shown or shown[-1] - shown[0] < 14_000:
            part = await reader.next()
            assert isinstance(part, aiohttp.BodyPartReader)
            shown.append(int(part.headers["X-Captured"]))
            assert decode_jpeg(bytes(await part.read())).shape == (360, 640, 3)
    named = {found.captured: obama in found.people for found in await identified(cluster, camera)}
    assert all(named[captured] for captured in shown)
    between = [there for captured, there in named.items() if shown[0] < captured < shown[-1]]
    assert between.count(False) > 20


async def test_live_pictures_come_with_their_faces_named(worker: Worker, camera: str, obama: str) -> None:
    async with (
        patience(60),
        aiohttp.ClientSession(worker.url) as session,
        session.ws_connect("/live") as socket,
    ):
        await socket.send_json({"watch": [camera]})
        named: list[dict[str, Any]] = []
        while not named:
            data = await socket.receive_bytes()
            length = int.from_bytes(data[:2], "big")
            header = json.loads(data[2 : 2 + length])
            assert header["stream"] == camera
            assert decode_jpeg(data[2 + length :]).shape == (header["height"], header["width"], 3)
            named = [face for face in header["faces"] if face["person"]]
    assert {(face["person"], face["name"]) for face in named} == {(obama, "Barack Obama")}
    assert all(face["similarity"] >= THRESHOLD for face in named)
    left, top, right, bottom = named[0]["box"]
    assert 0 <= left < right <= 640
    assert 0 <= top < bottom <= 360


async def events(worker: Worker, last: str | None, count: int) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Give a number of events, the first one after the greeting, as (id, sighting); then cut the line."""
    headers = {"Last-Event-ID": last} if last else {}
    async with (
        patience(60),
        aiohttp.ClientSession(worker.url, headers=headers) as session,
        session.get("/events") as answer,
    ):
        assert answer.content_type == "text/event-stream"
        fields: dict[str, str] = {}
        async for line in answer.content:
            name, _, text = line.decode().rstrip("\n").partition(": ")
            fields[name] = text
            if not name and "id" in fields and count:
                count -= 1
                yield fields["id"], json.loads(fields.get("data", "null"))
                fields = {}
            if not count:
                return


async def test_events_go_on_where_the_reader_left_off(cluster: Cluster, worker: Worker, camera: str) -> None:
    first = [event async for event in events(worker, None, 5)]
    assert first[0][1] is None
    start, cut = first[0][0], first[-1][0]
    heard = len(await log_of_sightings(cluster))
    async with patience(60):
        while len(await log_of_sightings(cluster)) < heard + 5:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
    second = [event async for event in events(worker, cut, 8)]

    received = [(parse_positions(name), seen) for name, seen in first + second if seen]
    places = [parse_positions(start), *(place for place, _ in received)]
    for before, after in pairwise(places):
        assert before != after
        assert all(before[partition] <= after[partition] for partition in before)
    newest = {}
    for record, seen in await log_of_sightings(cluster):
        if places[0][record.partition] <= record.offset < places[-1][record.partition]:
            newest[seen.id] = (seen.id, seen.last, seen.frames, seen.open)
    assert len(newest) >= 1
    assert set(newest.values()) <= {
        (seen["id"], seen["last"], seen["frames"], seen["open"]) for _, seen in received
    }


async def test_a_broken_frame_is_a_dead_letter_and_the_stream_goes_on(
    cluster: Cluster, worker: Worker
) -> None:
    topics = Topics(cluster.settings)
    # Larger than what a worker fetches at once, and from a medium that does not know the time.
    noise = np.random.default_rng(0).integers(0, 255, (1200, 1600, 3), np.uint8)
    good = encode_jpeg(noise, 95)
    assert len(good) > 2**20
    frame = Frame(stream="broken", seq=1, captured=1, pts=1, width=1600, height=1200, live=False, jpeg=good)
    key, jpeg, headers = encode_frame(frame)
    async with AIOKafkaProducer(
        bootstrap_servers=cluster.settings.bootstrap, max_request_size=2**23
    ) as producer:
        places = [
            await producer.send_and_wait(topics.recordings.name, value, key, headers=kept)
            for value, kept in (
                (b"\xff\xd8\xff" + b"\x93NUMPY" * 40, headers),
                (b"GIF89a", headers),
                (jpeg, headers[1:]),
                (jpeg, [("schema", b"2"), *headers[1:]]),
                (jpeg, headers),
            )
        ]
    wait_for("the whole frame", lambda: worker.stream("broken").get("frames"))
    assert [found.offset for found in await faces_of(cluster, "broken")] == [places[-1].offset]
    records = await read_topic(cluster.settings, topics.dead_letters)
    # Other tests bury messages too.
    dead_letters = [
        letter for record in records if (letter := decode(DeadLetter, record.value)).key == b"broken"
    ]
    # What cannot even be read need not wait for its turn.
    assert sorted((letter.offset, letter.reason) for letter in dead_letters) == [
        (place.offset, reason)
        for place, reason in zip(
            places[:-1], ("not-an-image", "not-an-image", "malformed", "unknown-schema"), strict=True
        )
    ]
    assert {letter.topic for letter in dead_letters} == {topics.recordings.name}


def test_an_unreadable_message_of_each_agent_is_a_dead_letter(cluster: Cluster, worker: Worker) -> None:
    topics = Topics(cluster.settings)

    async def write() -> None:
        async with AIOKafkaProducer(bootstrap_servers=cluster.settings.bootstrap) as producer:
            for topic in (topics.faces, topics.enrolments):
                await producer.send_and_wait(topic.name, b"\x93\x01\x02\x03", b"odd")

    def buried() -> bool:
        records = asyncio.run(read_topic(cluster.settings, topics.dead_letters))
        dead_letters = [decode(DeadLetter, record.value) for record in records]
        odd = {(letter.topic, letter.reason) for letter in dead_letters if letter.key == b"odd"}
        return odd == {(topics.faces.name, "malformed"), (topics.enrolments.name, "malformed")}

    asyncio.run(write())
    assert wait_for("both dead letters", buried)


def test_metrics_are_ours_and_fausts(worker: Worker, recording: str) -> None:
    text = worker.fetch("/metrics").decode()
    assert f'onlooker_frames_total{{stream="{recording}"}} {FRAMES}.0\n' in text
    assert f'onlooker_frame_age_seconds_count{{stream="{recording}"}} {FRAMES}.0\n' in text
    assert "onlooker_gallery_people 1.0\n" in text
    assert re.search(r'^onlooker_stage_seconds_count\{stage="detect\w*"\} [1-9]', text, re.MULTILINE)
    assert re.search(r"^faust_messages_received\w* [1-9]", text, re.MULTILINE)


def test_nothing_biometric_is_logged(worker: Worker, recording: str, camera: str) -> None:
    text = worker.said()
    assert "DEBUG" in text
    longest = max(text.splitlines(), key=len)
    assert len(longest) < 1_000, longest[:2_000]
    dumps = [line for line in text.splitlines() if re.search(r"(\\x[0-9a-f]{2}.*){4}", line)]
    assert dumps == []
