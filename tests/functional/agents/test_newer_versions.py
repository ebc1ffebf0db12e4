"""What a later program wrote goes to the dead letters of whoever was to work on it, and changes nothing."""

from typing import Any

from makers import START, axis, make_enrolment, make_faces, make_frame, make_sighting, newer
from workbench import RULES, Desk, MakeBench, Patient, Stage, faces_of

from app.agents.enrol import Enrol
from app.messages import Checkpoint, encode, encode_frame
from app.tables.gallery import Gallery
from app.tables.identities import Identities
from app.tracking.state import Mark, StreamState, write_state


async def test_a_newer_frame_is_not_looked_at(make_bench: MakeBench, patient: Patient, plain: Any) -> None:
    bench = make_bench(patient)
    headers = dict(encode_frame(make_frame(plain(20)))[2]) | {"schema": b"2"}
    async with bench.recordings as agent:
        await bench.send(agent, make_frame(plain(20)), headers=headers)
        await bench.send(agent, make_frame(plain(30), captured=START + 1))
        found = await bench.faces(1)
        (letter,) = await bench.stage.letters(1)
        await bench.stage.all_done("recordings")
    assert (letter.topic, letter.offset, letter.reason) == ("recordings", 0, "unknown-schema")
    assert letter.detail == "Frame of version 2; this program knows versions up to 1"
    assert ([faces.width for faces in found], patient.begun) == ([30], [30])


async def test_newer_faces_are_nobodys(stage: Stage, gallery: Gallery) -> None:
    desk = Desk(stage, gallery)
    async with desk.context as agent:
        await stage.put(agent, "faces", newer(make_faces([axis(1)])), key=b"door")
        await desk.taken_in(1)
        (partition,) = [one for one in desk.partitions if one.number == 0]
        assert partition.streams == {}
        # Nothing is acknowledged before its letter is on the log.
        (letter,) = await stage.letters(1)
        await desk.partitions.checkpoint()
        assert stage.of("faces").committable == 1
        await desk.send(agent, *faces_of(axis(0), count=1))
        told = await desk.sightings(1)
    assert (letter.topic, letter.offset, letter.reason) == ("faces", 0, "unknown-schema")
    assert [sighting.person for sighting in told] == ["ada"]


async def test_a_newer_enrolment_is_not_carried_out(stage: Stage, gallery: Gallery, changelog: Any) -> None:
    identities = Identities(stage.app, gallery, stage.metrics)
    context = stage.agent("enrolments", Enrol(identities, stage.intake, stage.dead_letters).run)
    async with context as agent:
        await stage.put(agent, "enrolments", encode(make_enrolment("carl", axis(2))), key=b"carl")
        await stage.all_done("enrolments")
        before = identities.table[b"carl"]
        for action in ("add", "remove"):
            wish = newer(make_enrolment("carl", axis(3), id="later", action=action))
            await stage.put(agent, "enrolments", wish, key=b"carl")
        letters = await stage.letters(2)
        await stage.all_done("enrolments")
    assert [(letter.offset, letter.reason) for letter in letters] == [
        (1, "unknown-schema"), (2, "unknown-schema"),
    ]  # fmt: skip
    assert dict(identities.table.items()) == {b"carl": before}
    assert changelog.changes == [(b"carl", before)]
    assert "carl" in gallery.people


async def test_a_stream_with_a_newer_checkpoint_begins_anew(stage: Stage, gallery: Gallery) -> None:
    state = StreamState(live=Mark(5, START), pending=[make_sighting()])
    inner = Checkpoint(stream="hall", partition=0, next=4, state=newer(state))
    outer = Checkpoint(stream="door", partition=0, next=4, state=encode(state))
    for one, value in ((inner, encode(inner)), (outer, newer(outer))):
        await stage.delivery.send(stage.topics.checkpoints, one.stream.encode(), value, 0)
    partitions = stage.partitions(RULES)
    letters = await stage.letters(2)
    (opened,) = [one for one in partitions if one.number == 0]
    await opened.open.wait()
    assert [(letter.topic, letter.key, letter.reason) for letter in letters] == [
        (stage.topics.checkpoints.name, key, "unknown-schema") for key in (b"hall", b"door")
    ]
    states = [write_state(opened.stream(name).tracker.state) for name in ("hall", "door")]
    assert states == [write_state(StreamState())] * 2
