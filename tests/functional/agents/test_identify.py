"""The identification agent over a real gallery and a real history."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from makers import (
    EMBEDDER,
    START,
    THRESHOLD,
    KeptDelivery,
    axis,
    make_faces,
    make_person,
    make_sighting,
    make_template,
)

from app.agents import identify as module
from app.agents.identify import Identify, Past
from app.agents.nets import Nets
from app.history.index import History
from app.messages import DeadLetter, Faces, Sighting, decode, encode
from app.models.images import decode_jpeg
from app.models.pipeline import Recogniser
from app.settings import Settings
from app.tables.gallery import Gallery
from app.tracking.stays import Stays

TRAIN = "face_recognition/examples/knn_examples/train"


class CaughtUp:
    """A follower that has read everything."""

    async def caught_up(self, partition: int) -> None:
        """Return at once."""


class Desk:
    """The agent, fed by hand, and the history that it is restored from."""

    def __init__(self, stage: Any, gallery: Gallery, history: History, **more: Any) -> None:
        self.stage, self.gallery, self.history = stage, gallery, history
        past = Past(history)
        follower: Any = CaughtUp()
        past.follow(follower)
        self.identify = Identify(
            Settings(sighting_update=0, **more), stage.topics, gallery, past, stage.delivery,
            stage.dead_letters, stage.metrics,
        )  # fmt: skip
        self.identify.keep({0, 1})
        self.context = stage.agent("faces", self.identify.run)

    async def send(self, agent: Any, *frames: Faces, partition: int = 0) -> None:
        for faces in frames:
            await agent.put(encode(faces), key=faces.stream.encode(), partition=partition, wait=False)

    async def sightings(self, count: int) -> list[Sighting]:
        kept = await self.stage.delivery.wait_for(self.stage.topics.sightings, count)
        return [decode(Sighting, delivered.value) for delivered in kept]


@pytest.fixture
async def gallery() -> Gallery:
    made = Gallery(EMBEDDER, threshold=0.4, margin=0.05)
    await made.load([make_person("ada", axis(0)), make_person("bob", axis(1))])
    return made


@pytest.fixture
async def desk(stage: Any, gallery: Gallery, history: History) -> Desk:
    return Desk(stage, gallery, history)


def frames(*embeddings: Any, count: int, start: int = 0, **more: Any) -> list[Faces]:
    return [
        make_faces(embeddings, offset=number, seq=number, captured=START + number * 100, **more)
        for number in range(start, start + count)
    ]


async def handled(delivery: KeptDelivery, topic: Any, count: int) -> None:
    """Wait until a topic has been given so many messages, and see that no more come."""
    await delivery.wait_for(topic, count)
    await asyncio.sleep(0.05)
    assert len(delivery.of(topic)) == count


async def test_an_enrolled_person_is_named(desk: Desk) -> None:
    async with desk.context as agent:
        await desk.send(agent, *frames(axis(0, 5, 0.8), count=3), partition=1)
        told = await desk.sightings(3)
    assert {(sighting.person, sighting.name, sighting.stream) for sighting in told} == {
        ("ada", "Ada", "door")
    }
    assert len({sighting.id for sighting in told}) == 1
    assert [sighting.frames for sighting in told] == [1, 2, 3]
    assert told[-1].score == pytest.approx(0.8, abs=0.01)
    kept = desk.stage.delivery.of(desk.stage.topics.sightings)
    assert {(delivered.key, delivered.partition) for delivered in kept} == {(b"door", 1)}


async def test_a_real_person_on_another_photograph_is_named(
    stage: Any, history: History, recogniser: Recogniser, nets: Nets, photo: Any
) -> None:
    def look(name: str) -> Any:
        return recogniser.analyse(decode_jpeg(photo(f"{TRAIN}/{name}")))

    gallery = Gallery(nets.embedder, THRESHOLD, margin=0.05)
    for person, name in {"obama": "obama/obama.jpg", "biden": "biden/biden.jpg"}.items():
        template = make_template(look(name).embeddings[0], embedder=nets.embedder)
        await gallery.put(make_person(person, templates=[template]))
    desk = Desk(stage, gallery, history)
    async with desk.context as agent:
        for name in ("obama/obama2.jpg", "biden/biden2.jpg", "rose_leslie/img1.jpg"):
            found = look(name)
            faces = make_faces(
                found.embeddings, embedder=nets.embedder, boxes=found.detections.boxes, gates=found.gates,
                stream=name.partition("/")[0],
            )  # fmt: skip
            await desk.send(agent, faces)
        await desk.sightings(2)
        await handled(stage.delivery, stage.topics.sightings, 2)
    told = await desk.sightings(2)
    assert [(sighting.stream, sighting.person) for sighting in told] == [
        ("obama", "obama"), ("biden", "biden"),
    ]  # fmt: skip


async def test_two_people_and_a_stranger(desk: Desk) -> None:
    async with desk.context as agent:
        await desk.send(agent, *frames(axis(0), axis(1), axis(6), count=5))
        told = await desk.sightings(11)
    by_person = {sighting.person: sighting for sighting in told}
    assert {person: sighting.frames for person, sighting in by_person.items()} == {
        "ada": 5, "bob": 5, None: 5,
    }  # fmt: skip
    assert by_person[None].score is None


async def test_faces_of_another_embedder_make_no_sighting(desk: Desk) -> None:
    async with desk.context as agent:
        await desk.send(agent, *frames(axis(0), count=3, embedder="other@01234567"))
        await desk.send(agent, *frames(axis(1), count=1, start=3))
        told = await desk.sightings(1)
    assert [sighting.person for sighting in told] == ["bob"]


async def test_an_unreadable_message_is_a_dead_letter_and_the_stream_goes_on(desk: Desk) -> None:
    future = msgspec.msgpack.encode(msgspec.msgpack.decode(encode(make_faces())) | {"v": 9})
    async with desk.context as agent:
        await agent.put(b"junk", key=b"door", wait=False)
        await agent.put(future, key=b"door", wait=False)
        await desk.send(agent, *frames(axis(0), count=1))
        await desk.sightings(1)
    dead_letters = [
        decode(DeadLetter, delivered.value)
        for delivered in desk.stage.delivery.of(desk.stage.topics.dead_letters)
    ]
    assert [(letter.topic, letter.reason) for letter in dead_letters] == [
        ("faces", "malformed"), ("faces", "unknown-schema"),
    ]  # fmt: skip


async def remember(history: History, sightings: Sequence[Sighting], partition: int = 0) -> None:
    await history.add((partition, offset, encode(seen)) for offset, seen in enumerate(sightings))


async def test_what_another_worker_left_open_goes_on(desk: Desk) -> None:
    left = make_sighting(first=START - 1000, last=START + 100, frames=12, offset=1)
    await remember(desk.history, [left])
    async with desk.context as agent:
        await desk.send(agent, *frames(axis(0), count=4))
        told = await desk.sightings(2)
    assert [(sighting.id, sighting.frames) for sighting in told] == [(left.id, 13), (left.id, 14)]
    assert {sighting.first for sighting in told} == {left.first}


async def test_a_replay_of_what_has_been_closed_is_not_told_again(desk: Desk) -> None:
    await remember(
        desk.history, [make_sighting(first=START, last=START + 300, frames=4, offset=3, open=False)]
    )
    async with desk.context as agent:
        await desk.send(agent, *frames(axis(0), count=4))
        await desk.send(agent, *frames(axis(1), count=1, start=4))
        told = await desk.sightings(1)
    assert [sighting.person for sighting in told] == ["bob"]


async def test_sightings_of_a_stream_that_stays_away_are_closed(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_LEAST_SILENCE", 0.0)
    desk = Desk(desk.stage, desk.gallery, desk.history, sighting_gap=0.05)
    left = make_sighting(stream="yard")
    await remember(desk.history, [left])
    async with desk.context as agent:
        await desk.send(agent, *frames(axis(0), count=1))
        await desk.sightings(1)
        deadline = time.monotonic() + 20
        while len(desk.stage.delivery.of(desk.stage.topics.sightings)) < 3 and time.monotonic() < deadline:
            await desk.identify.tidy()
            await asyncio.sleep(0.01)
        told = await desk.sightings(3)
        await desk.identify.tidy()
    assert [(sighting.stream, sighting.open) for sighting in told[:1]] == [("door", True)]
    assert {(sighting.stream, sighting.open) for sighting in told[1:]} == {("door", False), ("yard", False)}
    assert len(desk.stage.delivery.of(desk.stage.topics.sightings)) == 3
    ended = desk.stage.metrics.registry.get_sample_value(
        "onlooker_sightings_total", {"stream": "yard", "known": "true"}
    )
    assert ended == 1


async def test_a_partition_that_went_away_is_let_go_of(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_LEAST_SILENCE", 0.0)
    desk = Desk(desk.stage, desk.gallery, desk.history, sighting_gap=0.01)
    async with desk.context as agent:
        await desk.send(agent, *frames(axis(0), count=1))
        await desk.send(agent, *frames(axis(0), count=1, stream="yard"), partition=1)
        await desk.sightings(2)
        desk.identify.keep({1})
        await desk.send(agent, *frames(axis(1), count=1, start=9))
        await desk.sightings(3)
        await asyncio.sleep(0.05)
        await desk.identify.tidy()
        told = await desk.sightings(4)
        await handled(desk.stage.delivery, desk.stage.topics.sightings, 4)
    assert [(sighting.stream, sighting.open) for sighting in told] == [
        ("door", True), ("yard", True), ("door", True), ("yard", False),
    ]  # fmt: skip


async def test_a_stay_is_never_closed_before_what_was_told_of_it(desk: Desk, monkeypatch: Any) -> None:
    """While the broker is away a stream looks silent; its end must still be the last that is told."""
    monkeypatch.setattr(module, "_LEAST_SILENCE", 0.0)
    desk = Desk(desk.stage, desk.gallery, desk.history, sighting_gap=0.01)
    desk.stage.delivery.open.clear()
    async with desk.context as agent:
        await desk.send(agent, *frames(axis(0), count=1))
        await asyncio.sleep(0.1)
        tidying = asyncio.create_task(desk.identify.tidy())
        await asyncio.sleep(0.05)
        desk.stage.delivery.open.set()
        await tidying
        told = await desk.sightings(2)
    assert [sighting.open for sighting in told] == [True, False]


async def test_what_nobody_foresaw_is_a_dead_letter_and_the_stream_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    observe = Stays.observe

    def fragile(stays: Stays, moment: Any, faces: Any) -> Any:
        if moment.offset == 0:
            raise ZeroDivisionError("the stays gave up")
        return observe(stays, moment, faces)

    monkeypatch.setattr(Stays, "observe", fragile)
    async with desk.context as agent:
        await desk.send(agent, *frames(axis(0), count=2))
        (told,) = await desk.sightings(1)
    (kept,) = desk.stage.delivery.of(desk.stage.topics.dead_letters)
    letter = decode(DeadLetter, kept.value)
    assert (letter.offset, letter.reason, letter.detail) == (0, "internal-error", "ZeroDivisionError")
    assert told.person == "ada"
    assert "the stays gave up" in caplog.text


async def test_what_was_remembered_of_a_partition_gives_way_to_what_is_on_the_log(desk: Desk) -> None:
    """It came back from another worker, which went on with the stay under the id that it has there."""
    async with desk.context as agent:
        desk.identify.keep({1})
        await desk.send(agent, *frames(axis(0), count=1))
        (stale,) = await desk.sightings(1)
        left = make_sighting(id="theirs", first=START, last=START + 500, frames=6, offset=5)
        await remember(desk.history, [left])
        desk.identify._assigned = {0, 1}
        await desk.send(agent, *frames(axis(0), count=1, start=6))
        told = await desk.sightings(2)
    assert stale.id != left.id
    assert (told[1].id, told[1].frames) == (left.id, 7)
