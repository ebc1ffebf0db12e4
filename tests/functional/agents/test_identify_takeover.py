"""What one worker knew of a stream is what the next one goes on with, wherever the first one ended."""

import asyncio
from typing import Any

import msgspec
import pytest
from machine import SLOWNESS
from makers import EMBEDDER, axis
from settled import settled
from studio import until
from workbench import Desk, Stage, faces_of

from app.messages import Checkpoint, encode
from app.tables.gallery import Gallery
from app.tracking.state import read_state


async def test_another_worker_goes_on_with_the_same_visit(stage: Stage, gallery: Gallery) -> None:
    first = Desk(stage, gallery)
    async with first.context as agent:
        await first.send(agent, *faces_of(axis(0), count=4))
        before = await first.sightings(4)
    # It died before it could say how far it was: the second one is given what it has not committed, again.
    assert stage.of("faces").committable == 0
    stage.open()
    second = Desk(stage, gallery)
    async with second.context as agent:
        for offset, faces in enumerate(faces_of(axis(0), count=6)):
            await stage.put(agent, "faces", encode(faces), offset=offset)
        told = await second.sightings(7)
    assert {sighting.id for sighting in told} == {before[0].id}
    # It cannot know whether the last one was told.
    assert [sighting.frames for sighting in told] == [1, 2, 3, 4, 4, 5, 6]
    assert told[3] == told[4]
    assert stage.value("repeated_frames_total", stream="door") is None
    # The frames that the checkpoint stood for are not identified again; no other is passed over.
    assert [found.faces_offset for found in second.identifications()] == [0, 1, 2, 3, 4, 5]


async def test_another_worker_names_with_the_gallery_that_it_has_and_goes_on_all_the_same(
    stage: Stage, gallery: Gallery
) -> None:
    first = Desk(stage, gallery)
    async with first.context as agent:
        await first.send(agent, *faces_of(axis(0), count=2))
        before = await first.sightings(2)
    stage.open()
    second = Desk(stage, Gallery(EMBEDDER, threshold=0.4, margin=0.05))
    async with second.context as agent:
        for offset, faces in enumerate(faces_of(axis(0), count=8)):
            await stage.put(agent, "faces", encode(faces), offset=offset)
        told = await second.sightings(9)
    # Where she is not enrolled any more it is the same visit, of somebody unknown, and that is said.
    assert [(sighting.person, sighting.frames) for sighting in told] == [
        ("ada", 1), ("ada", 2), ("ada", 2), *((None, frames) for frames in range(3, 9)),
    ]  # fmt: skip
    assert {sighting.id for sighting in told} == {before[0].id}
    assert [(change.before, change.reason) for change in told[-1].changes] == [("ada", "removed")]


async def test_what_a_worker_could_not_tell_is_told_by_the_next_one(stage: Stage, gallery: Gallery) -> None:
    first = Desk(stage, gallery)
    stage.delivery.hold(stage.topics.sightings)
    async with first.context as agent:
        await first.send(agent, *faces_of(axis(0), count=1))
        await until(lambda: stage.delivery.withheld(stage.topics.sightings))
    stage.delivery.lose(stage.topics.sightings)
    (checkpoint,) = first.checkpoints()
    stage.open()
    second = Desk(stage, gallery)
    async with second.context:
        while second.told() < 1:
            await second.identify.close_silent()
            await asyncio.sleep(0.001)
        await second.identify.close_silent()
        told = await second.sightings(1)
    assert told == read_state(checkpoint.state).pending


async def test_who_was_there_when_a_worker_died_is_let_go_of_by_the_next_one(
    stage: Stage, gallery: Gallery, hasty: dict[str, Any]
) -> None:
    first = Desk(stage, gallery)
    async with first.context as agent:
        await first.send(agent, *faces_of(axis(0), count=2))
        (_, before) = await first.sightings(2)
    stage.open()
    second = Desk(stage, gallery, **hasty)
    async with second.context:
        while second.told() < 4:
            await second.identify.close_silent()
            await asyncio.sleep(0.001)
        told = await second.sightings(4)
    assert [sighting.open for sighting in told] == [True, True, True, False]
    assert told[-1] == msgspec.structs.replace(before, open=False)


async def test_a_partition_that_went_away_is_let_go_of(
    stage: Stage, gallery: Gallery, hasty: dict[str, Any]
) -> None:
    desk = Desk(stage, gallery, **hasty)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1))
        await desk.send(agent, *faces_of(axis(0), count=1, stream="yard"), partition=1)
        await desk.sightings(2)
        await desk.taken_in(1, partition=1)
        await desk.partitions.checkpoint()
        desk.partitions.assign([1])
        stage.ledger.close(("faces", 0))
        await desk.send(agent, *faces_of(axis(1), count=1, start=9))
        while desk.told() < 3:
            await desk.identify.close_silent()
            await asyncio.sleep(0.001)
        await desk.identify.close_silent()
        told = await desk.sightings(3)
    assert sorted((sighting.stream, sighting.open) for sighting in told) == [
        ("door", True), ("yard", False), ("yard", True),
    ]  # fmt: skip


async def test_what_was_known_of_a_partition_gives_way_to_what_is_on_the_log(
    stage: Stage, gallery: Gallery
) -> None:
    """It comes back from another worker, which went on with the visit."""
    away, other = Desk(stage, gallery), Desk(stage, gallery)
    async with away.context as agent:
        await away.send(agent, *faces_of(axis(0), count=1))
        await away.sightings(1)
        await away.taken_in(1)
        await away.partitions.checkpoint()
        stage.open()
        other.partitions.assign([0, 1])
        async with other.context as others:
            await other.send(others, *faces_of(axis(0), count=3, start=1))
            await other.sightings(3)
            await other.taken_in(4)
            await other.partitions.checkpoint()
        stage.open()
        away.partitions.assign([0, 1])
        await away.send(agent, *faces_of(axis(0), count=1, start=4))
        told = await away.sightings(5)
    assert [sighting.frames for sighting in told] == [1, 2, 3, 4, 5]
    assert len({sighting.id for sighting in told}) == 1


@pytest.mark.parametrize("held", ["checkpoints", "sightings"])
async def test_a_partition_may_go_while_sightings_are_told(
    stage: Stage, gallery: Gallery, hasty: dict[str, Any], held: str
) -> None:
    """Two streams are silent; between the one and the other, others get their partition."""
    desk = Desk(stage, gallery, **hasty)
    topic = getattr(stage.topics, held)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1), *faces_of(axis(1), count=1, stream="yard"))
        await desk.sightings(2)
        await desk.taken_in(2)
        await asyncio.sleep(0.002)
        stage.delivery.hold(topic)
        closing = asyncio.create_task(desk.identify.close_silent())
        await until(lambda: stage.delivery.withheld(topic))
        desk.partitions.assign([1])
        stage.ledger.close(("faces", 0))
        stage.delivery.let_go(topic)
        await closing
        # Nor is anything raised by what comes too late, or taken in.
        await desk.send(agent, *faces_of(axis(0), count=1, start=9))
        await desk.identify.close_silent()
        await desk.partitions.checkpoint()
    told = await desk.sightings(2)
    assert [sighting.stream for sighting in told if not sighting.open] == (
        ["door"] if held == "sightings" else []
    )


class SlowGallery:
    """Lets a gallery take its time to match templates."""

    def __init__(self, gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        match = gallery.match

        async def slow(templates: Any, faces: Any) -> Any:
            self.asked.set()
            await self.answer.wait()
            return await match(templates, faces)

        monkeypatch.setattr(gallery, "match", slow)


async def test_a_partition_may_go_while_its_faces_are_matched(
    stage: Stage, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, desk = SlowGallery(gallery, monkeypatch), Desk(stage, gallery)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1))
        await asyncio.wait_for(slow.asked.wait(), 30 * SLOWNESS)
        (gone,) = [one for one in desk.partitions if one.number == 0]
        desk.partitions.assign([1])
        stage.ledger.close(("faces", 0))
        slow.answer.set()
        await desk.send(agent, *faces_of(axis(1), count=1, stream="yard"), partition=1)
        (told,) = await desk.sightings(1)
    assert told.stream == "yard"
    # Others have it: nothing of what came of it is counted here.
    assert (gone.streams["door"].next, gone.streams["door"].changed, gone.faces) == (0, False, None)


async def test_no_checkpoint_is_written_between_the_matching_of_faces_and_what_they_change(
    stage: Stage, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, desk = SlowGallery(gallery, monkeypatch), Desk(stage, gallery)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=2))
        await asyncio.wait_for(slow.asked.wait(), 30 * SLOWNESS)
        writing = asyncio.create_task(desk.partitions.checkpoint())
        await settled()
        assert not writing.done()
        slow.answer.set()
        await writing
        told = await desk.sightings(2)
    assert [sighting.frames for sighting in told] == [1, 2]
    assert [checkpoint.next for checkpoint in desk.checkpoints()][:1] == [1]


async def test_a_stream_may_begin_while_sightings_are_told(
    stage: Stage, gallery: Gallery, hasty: dict[str, Any]
) -> None:
    desk = Desk(stage, gallery, **hasty)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1), *faces_of(axis(1), count=1, stream="yard"))
        await desk.sightings(2)
        await desk.taken_in(2)
        await asyncio.sleep(0.002)
        stage.delivery.hold(stage.topics.sightings)
        closing = asyncio.create_task(desk.identify.close_silent())
        await until(lambda: stage.delivery.withheld(stage.topics.sightings))
        (partition,) = [one for one in desk.partitions if one.number == 0]
        partition.stream("gate")
        stage.delivery.let_go(stage.topics.sightings)
        await closing
        told = await desk.sightings(4)
    assert sorted(sighting.stream for sighting in told if not sighting.open) == ["door", "yard"]


async def test_nothing_is_named_before_it_is_known_who_is_there(stage: Stage, gallery: Gallery) -> None:
    stage.checkpoints.readable.clear()
    desk = Desk(stage, gallery)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1))
        await until(lambda: stage.of("faces").in_work)
        await desk.identify.close_silent()
        await settled()
        assert desk.told() == 0
        stage.checkpoints.readable.set()
        await desk.sightings(1)


async def test_a_checkpoint_that_cannot_be_read_is_a_dead_letter_and_its_stream_begins_anew(
    stage: Stage, gallery: Gallery
) -> None:
    broken = [
        b"junk",
        encode(Checkpoint(stream="yard", partition=0, next=1, state=b"junk")),
    ]
    for key, value in zip((b"door", b"yard"), broken, strict=True):
        await stage.delivery.send(stage.topics.checkpoints, key, value, 0)
    desk = Desk(stage, gallery)
    async with desk.context as agent:
        await desk.send(agent, *faces_of(axis(0), count=1), *faces_of(axis(0), count=1, stream="yard"))
        told = await desk.sightings(2)
        letters = await stage.letters(2)
    assert [(sighting.stream, sighting.frames) for sighting in told] == [("door", 1), ("yard", 1)]
    assert {(letter.key, letter.reason) for letter in letters} == {
        (b"door", "malformed"), (b"yard", "malformed"),
    }  # fmt: skip
