"""The identification agent over a real gallery, and a log of checkpoints that others go on from."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from makers import THRESHOLD, axis, make_faces, make_person, make_template
from media.stills import PEOPLE
from settled import settled
from studio import until
from workbench import Desk, Stage, faces_of

from app.agents import identify
from app.messages import encode
from app.models.images import decode_jpeg
from app.models.pipeline import Nets, Recogniser
from app.tables.gallery import Gallery
from app.tracking.state import read_state
from app.tracking.visits import VisitTracker


@pytest.fixture
async def desk(stage: Stage, gallery: Gallery) -> Desk:
    return Desk(stage, gallery)


async def test_an_enrolled_person_is_named(desk: Desk) -> None:
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0, 5, 0.8), count=3), partition=1)
        told = await desk.sightings(3)
    assert {(sighting.person, sighting.name, sighting.stream) for sighting in told} == {
        ("ada", "Ada", "door")
    }
    assert len({sighting.id for sighting in told}) == 1
    assert [sighting.frames for sighting in told] == [1, 2, 3]
    assert [sighting.revision for sighting in told] == [0, 1, 2]
    assert told[-1].score == pytest.approx(0.8, abs=0.01)
    kept = desk.stage.delivery.of(desk.stage.topics.sightings)
    assert {(delivered.key, delivered.partition) for delivered in kept} == {(b"door", 1)}


async def test_a_real_person_on_another_photograph_is_named(
    stage: Stage, recogniser: Recogniser, nets: Nets, photo: Any
) -> None:
    def look(name: str) -> Any:
        return recogniser.analyse(decode_jpeg(photo(name)))

    gallery = Gallery(nets.embedder, THRESHOLD, margin=0.05)
    for person, name in {"obama": PEOPLE["obama"][0], "guest": "guest-03"}.items():
        template = make_template(look(name).embeddings[0], embedder=nets.embedder)
        await gallery.put(make_person(person, templates=[template]))
    desk = Desk(stage, gallery)
    async with desk.context as agent:
        for stream, name in (
            ("door", PEOPLE["obama"][1]), ("yard", "guest-07"), ("roof", "guest-05"),
        ):  # fmt: skip
            found = look(name)
            faces = make_faces(
                found.embeddings, embedder=nets.embedder, boxes=found.detections.boxes, gates=found.gates,
                stream=stream,
            )  # fmt: skip
            await desk.send(agent, faces)
        await desk.taken_in(3)
    told = await desk.sightings(2)
    assert [(sighting.stream, sighting.person) for sighting in told] == [
        ("door", "obama"), ("yard", "guest"),
    ]  # fmt: skip


async def test_two_people_and_a_stranger(desk: Desk) -> None:
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), axis(1), axis(6), count=5))
        told = await desk.sightings(11)
    by_person = {sighting.person: sighting for sighting in told}
    assert {person: sighting.frames for person, sighting in by_person.items()} == {
        "ada": 5, "bob": 5, None: 5,
    }  # fmt: skip
    assert by_person[None].score is None


async def test_faces_of_another_embedder_make_no_sighting(desk: Desk) -> None:
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=3, embedder="other@01234567"))
        await desk.send(agent, *faces_of(axis(1), count=1, start=3))
        told = await desk.sightings(1)
    assert [sighting.person for sighting in told] == ["bob"]


async def test_an_unreadable_message_is_a_dead_letter_and_the_stream_goes_on(desk: Desk) -> None:
    future = msgspec.msgpack.encode(msgspec.msgpack.decode(encode(make_faces())) | {"v": 9})
    async with desk.context as agent:
        await desk.stage.put(agent, "faces", b"junk")
        await desk.stage.put(agent, "faces", future)
        await desk.send(agent, *faces_of(axis(0), count=1))
        await desk.sightings(1)
        letters = await desk.stage.letters(2)
        await desk.taken_in(3)
        await desk.partitions.checkpoint()
    assert [(letter.topic, letter.offset, letter.reason) for letter in letters] == [
        ("faces", 0, "malformed"), ("faces", 1, "unknown-schema"),
    ]  # fmt: skip
    assert desk.stage.of("faces").committable == 3


async def test_what_nobody_foresaw_is_a_dead_letter_and_the_stream_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    observe = VisitTracker.observe

    def fragile(tracker: VisitTracker, faces: Any, *more: Any) -> Any:
        if faces.offset == 0:
            raise ZeroDivisionError("the tracker gave up")
        return observe(tracker, faces, *more)

    monkeypatch.setattr(VisitTracker, "observe", fragile)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=2))
        (told,) = await desk.sightings(1)
        (letter,) = await desk.stage.letters(1)
    assert (letter.offset, letter.reason, letter.detail) == (0, "internal-error", "ZeroDivisionError")
    assert told.person == "ada"
    assert "the tracker gave up" in caplog.text


async def test_what_a_frame_changes_is_on_the_log_before_what_is_told_of_it(desk: Desk) -> None:
    delivery, topics = desk.stage.delivery, desk.stage.topics
    delivery.hold(topics.checkpoints)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1))
        await until(lambda: delivery.withheld(topics.checkpoints))
        await settled()
        assert desk.told() == 0
        delivery.let_go(topics.checkpoints)
        (told,) = await desk.sightings(1)
    (checkpoint,) = desk.checkpoints()
    assert (checkpoint.stream, checkpoint.partition, checkpoint.next) == ("door", 0, 1)
    assert read_state(checkpoint.state).pending == [told]


async def test_faces_are_done_once_a_checkpoint_stands_for_them(desk: Desk) -> None:
    delivery, topics, ledger = desk.stage.delivery, desk.stage.topics, desk.stage.of("faces")
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1), *faces_of(count=3, start=1))
        await desk.taken_in(4)
        assert ledger.committable == 0
        delivery.hold(topics.checkpoints)
        writing = asyncio.create_task(desk.partitions.checkpoint())
        await until(lambda: delivery.withheld(topics.checkpoints))
        assert ledger.committable == 0
        delivery.let_go(topics.checkpoints)
        await writing
        assert ledger.committable == 4
    assert [checkpoint.next for checkpoint in desk.checkpoints()] == [1, 4]


async def test_a_frame_that_was_recognised_twice_counts_once(desk: Desk) -> None:
    once = faces_of(axis(0), count=3)
    async with desk.context as agent:
        await desk.send(agent, *once, *once, *faces_of(axis(0), count=1, start=3))
        told = await desk.sightings(4)
    assert [sighting.frames for sighting in told] == [1, 2, 3, 4]
    assert desk.stage.value("repeated_frames_total", stream="door") == 3


async def test_sightings_of_a_stream_that_stays_away_are_closed(
    stage: Stage, gallery: Gallery, hasty: dict[str, Any]
) -> None:
    desk = Desk(stage, gallery, **hasty)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=2))
        await desk.send(agent, *faces_of(count=1, stream="yard"))
        await desk.sightings(2)
        await desk.taken_in(3)
        while desk.told() < 3:
            await desk.identify.close_silent()
            await asyncio.sleep(0.001)
        # Once.
        await desk.identify.close_silent()
        told = await desk.sightings(3)
    assert [(sighting.stream, sighting.open, sighting.frames) for sighting in told] == [
        ("door", True, 1), ("door", True, 2), ("door", False, 2),
    ]  # fmt: skip
    assert told[-1].revision == told[-2].revision == 1
    assert stage.value("sightings_total", stream="door", known="true") == 1


async def test_a_visit_is_never_closed_before_what_is_told_of_it(
    stage: Stage, gallery: Gallery, hasty: dict[str, Any]
) -> None:
    """While the broker is away a stream looks silent; its end must still be the last that is told."""
    desk = Desk(stage, gallery, **hasty)
    stage.delivery.hold(stage.topics.sightings)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1))
        await until(lambda: stage.delivery.withheld(stage.topics.sightings))
        closing = asyncio.create_task(desk.identify.close_silent())
        # For long enough to be silent.
        await asyncio.sleep(0.02)
        stage.delivery.let_go(stage.topics.sightings)
        await closing
        told = await desk.sightings(2)
    assert [sighting.open for sighting in told] == [True, False]


@pytest.mark.parametrize(("gap", "silence"), [(0.5, 5.0), (5.0, 5.0), (8.0, 8.0)])
async def test_a_stream_is_silent_after_the_gap_and_not_before_five_seconds(
    stage: Stage, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, gap: float, silence: float
) -> None:
    """Frames may wait for a worker that is busy: nobody has gone because it has not come to them."""
    now = 1000.0
    monkeypatch.setattr(identify, "time", SimpleNamespace(monotonic=lambda: now))
    desk = Desk(stage, gallery, sighting_gap=gap)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1))
        await desk.sightings(1)
        partition = next(one for one in desk.partitions if one.number == 0)
        assert partition.streams["door"].heard == now
        now += silence
        await desk.identify.close_silent()
        assert desk.told() == 1
        now += 0.001
        await desk.identify.close_silent()
        (_, closed) = await desk.sightings(2)
        assert not closed.open
