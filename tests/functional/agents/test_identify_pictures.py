"""Who is named on the live picture is who was decided for the visits, and no visit waits for a picture."""

import asyncio
from typing import Any

import numpy as np
import pytest
from aiokafka.errors import MessageSizeTooLargeError
from makers import EMBEDDER, THRESHOLD, axis
from numpy.typing import NDArray
from settled import settled
from studio import until
from workbench import Desk, Stage, faces_of

from app.kafka.delivery import Position
from app.models.pipeline import Gate
from app.search import Match
from app.tables.gallery import Gallery
from app.topics import TopicSpec


class Fickle(Gallery):
    """Thinks of somebody else whenever it is asked."""

    def __init__(self) -> None:
        super().__init__(EMBEDDER, THRESHOLD, 0.05)
        self.asked = 0

    async def match(self, embeddings: NDArray[np.floating], faces: Any = 1) -> list[Match]:
        self.asked += 1
        person = f"person-{self.asked}"
        return [Match(person, person.title(), 0.8, person)] * len(embeddings)

    def has(self, person: str) -> bool:
        return True


@pytest.fixture
async def desk(stage: Stage, gallery: Gallery) -> Desk:
    return Desk(stage, gallery)


async def test_every_frame_is_identified_in_the_order_of_its_stream(desk: Desk) -> None:
    async with desk.context as agent:
        frames = [*faces_of(axis(0), axis(6), count=2), *faces_of(count=1, start=2, live=True)]
        await desk.send(agent, *frames, partition=1)
        await desk.taken_in(3, partition=1)
    found = desk.identifications()
    assert [(one.partition, one.offset, one.faces_offset) for one in found] == [(0, n, n) for n in range(3)]
    assert [one.captured for one in found] == [faces.captured for faces in frames]
    assert [one.live for one in found] == [False, False, True]
    assert {(one.stream, one.width, one.height) for one in found} == {("door", 640, 480)}
    assert [one.people for one in found] == [["ada", None], ["ada", None], []]
    assert [one.names for one in found] == [["Ada", None], ["Ada", None], []]
    np.testing.assert_array_equal(found[0].boxes, frames[0].boxes)
    np.testing.assert_array_equal(found[0].scores, frames[0].scores)
    kept = desk.stage.delivery.of(desk.stage.topics.identifications)
    assert {(delivered.key, delivered.partition) for delivered in kept} == {(b"door", 1)}


async def test_each_frame_is_matched_once_for_the_picture_and_the_sightings(stage: Stage) -> None:
    fickle = Fickle()
    desk = Desk(stage, fickle)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=3))
        told = await desk.sightings(3)
    assert fickle.asked == 3
    assert [(one.people, one.names) for one in desk.identifications()] == [
        ([sighting.person], [sighting.name]) for sighting in told
    ]


async def test_who_was_compared_with_nobody_has_no_similarity(desk: Desk) -> None:
    gates = np.array([Gate.PASSED, Gate.SMALL, Gate.PASSED], np.uint8)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0, 5, 0.8), axis(1), axis(1, 6, 0.1), count=1, gates=gates))
        await desk.send(agent, *faces_of(axis(0), count=1, start=20, embedder="other@01234567"))
        await desk.taken_in(2)
    first, second = desk.identifications()
    assert first.people == ["ada", None, None]
    assert first.similarities[1] is None
    assert [first.similarities[0], first.similarities[2]] == pytest.approx([0.8, 0.1], abs=0.01)
    assert (second.people, second.similarities) == ([None], [None])


async def test_an_empty_gallery_compares_nobody(stage: Stage) -> None:
    desk = Desk(stage, Gallery(EMBEDDER, THRESHOLD, 0.05))
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1))
        await desk.taken_in(1)
    (found,) = desk.identifications()
    assert (found.people, found.similarities) == ([None], [None])


async def test_who_turns_away_is_named_neither_on_the_picture_nor_in_the_visit(desk: Desk) -> None:
    """The face is too little like her, and too much like her to be somebody else."""
    async with desk.context as agent:
        turned = faces_of(axis(0, 5, 0.3), count=6, start=1, quality=np.full(1, 0.4, np.float32))
        await desk.send(agent, *faces_of(axis(0), count=1), *turned)
        await desk.taken_in(7)
        (told,) = await desk.sightings(1)
    assert [one.people for one in desk.identifications()] == [["ada"]] + [[None]] * 6
    assert (told.person, told.frames) == ("ada", 1)


async def test_a_frame_that_was_recognised_twice_is_identified_once(desk: Desk) -> None:
    once = faces_of(axis(0), count=3)
    async with desk.context as agent:
        await desk.send(agent, *once, *once)
        await desk.taken_in(6)
    assert [one.faces_offset for one in desk.identifications()] == [0, 1, 2]


async def test_no_sighting_waits_for_a_picture_but_no_faces_are_done_without_one(desk: Desk) -> None:
    delivery, topics, ledger = desk.stage.delivery, desk.stage.topics, desk.stage.of("faces")
    delivery.hold(topics.identifications)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=3))
        assert len(await desk.sightings(3)) == delivery.withheld(topics.identifications) == 3
        await desk.taken_in(3)
        writing = asyncio.create_task(desk.partitions.checkpoint())
        await settled()
        assert ledger.committable == 0
        delivery.let_go(topics.identifications)
        await writing
        assert ledger.committable == 3


async def test_a_picture_that_cannot_be_delivered_is_told_of_and_its_faces_are_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    delivery, topics = desk.stage.delivery, desk.stage.topics
    post = delivery.post

    def refusing(
        topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> "asyncio.Future[Position]":
        if topic.name != topics.identifications.name:
            return post(topic, key, value, partition)
        refused: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        refused.set_exception(MessageSizeTooLargeError())
        return refused

    monkeypatch.setattr(delivery, "post", refusing)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1))
        (told,) = await desk.sightings(1)
        await desk.taken_in(1)
        await desk.partitions.checkpoint()
    assert told.person == "ada"
    assert desk.stage.of("faces").committable == 1
    assert delivery.of(topics.dead_letters) == []
    await until(lambda: "a frame of the stream door cannot be shown" in caplog.text)
