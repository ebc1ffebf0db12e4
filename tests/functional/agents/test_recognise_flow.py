"""The recognition agent under way: what waits for what, on nets that take as long as a test wants."""

import asyncio
import time
from typing import Any

import pytest
from makers import START, make_frame
from settled import settled
from studio import until
from workbench import MakeBench, Patient

from app.agents import lanes
from app.agents import recognise as module
from app.messages import Frame


def now() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def recorded(plain: Any) -> Any:
    """Return what makes a frame of a recording, so many pixels wide."""
    return lambda width, **more: make_frame(plain(width), captured=START + width, **more)


@pytest.fixture
def live(plain: Any) -> Any:
    """Return what makes a frame of a camera, so many pixels wide, taken now."""
    return lambda width, **more: make_frame(plain(width), **({"live": True, "captured": now()} | more))


def widths(found: Any) -> list[int]:
    return [faces.width for faces in found]


async def test_frames_that_finish_out_of_order_leave_in_order(
    make_bench: MakeBench, patient: Patient, recorded: Any
) -> None:
    bench = make_bench(patient)
    patient.hold(20)
    async with bench.recordings as agent:
        for width in (20, 21, 22, 23):
            await bench.send(agent, recorded(width))
        await until(lambda: {20, 21, 22} <= {*patient.begun})
        assert bench.stage.delivery.of(bench.stage.topics.faces) == []
        patient.let_go(20)
        found = await bench.faces(4)
        await bench.stage.all_done("recordings")
    assert widths(found) == [20, 21, 22, 23]


async def test_a_slow_stream_does_not_hold_up_another_one_of_its_partition(
    make_bench: MakeBench, patient: Patient, recorded: Any
) -> None:
    bench = make_bench(patient)
    patient.hold(20)
    async with bench.recordings as agent:
        slow = [await bench.send(agent, recorded(width)) for width in (20, 21)]
        quick = [await bench.send(agent, recorded(width, stream="yard")) for width in range(30, 40)]
        found = await bench.faces(10)
        ledger = bench.stage.of("recordings")
        await until(lambda: ledger.in_work == len(slow))
        # What is not done stands before what is: nothing is lost with this worker.
        assert ledger.committable == slow[0] < quick[0]
        patient.let_go(20)
        found = await bench.faces(12)
        await bench.stage.all_done("recordings")
    assert widths(found) == [*range(30, 40), 20, 21]


async def test_frames_do_not_wait_for_the_delivery_of_those_before(
    make_bench: MakeBench, patient: Patient, recorded: Any
) -> None:
    """Were each to wait for a round trip of 50 ms, there could be no more than 20 a second."""
    bench = make_bench(patient)
    faces = bench.stage.topics.faces
    bench.stage.delivery.hold(faces)
    async with bench.recordings as agent:
        for width in range(20, 120):
            await bench.send(agent, recorded(width))
        await until(lambda: bench.stage.delivery.withheld(faces) == 100)
        assert bench.stage.of("recordings").in_work == 100
        bench.stage.delivery.let_go(faces)
        found = await bench.faces(100)
        await bench.stage.all_done("recordings")
    assert widths(found) == [*range(20, 120)]


async def test_so_many_are_under_way_and_no_more(
    make_bench: MakeBench, patient: Patient, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_UNDER_WAY", 4)
    bench = make_bench(patient)
    faces = bench.stage.topics.faces
    bench.stage.delivery.hold(faces)
    async with bench.recordings as agent:
        for width in range(20, 40):
            await bench.send(agent, recorded(width))
        # Those that are looked at have begun, and wait; and nothing else does.
        await until(lambda: (bench.stage.delivery.withheld(faces), len(patient.begun)) == (4, 4 + 3))
        # Those that wait have their places: whatever would begin beyond them would be on its way by now.
        await settled()
        assert (bench.stage.delivery.withheld(faces), len(patient.begun)) == (4, 7)
        bench.stage.delivery.let_go(faces)
        assert widths(await bench.faces(20)) == [*range(20, 40)]


async def test_a_camera_s_frame_that_waited_too_long_is_skipped_when_its_turn_comes(
    make_bench: MakeBench, patient: Patient, live: Any
) -> None:
    bench = make_bench(patient, in_flight=1, live_max_age=0.5)
    topics, delivery = bench.stage.topics, bench.stage.delivery
    patient.hold(20)
    async with bench.cameras as agent:
        await bench.send(agent, live(20))
        await until(lambda: patient.begun)
        late = live(21)
        await bench.send(agent, late)
        await until(lambda: now() - late.captured > 500)
        patient.let_go(20)
        await bench.send(agent, live(22))
        assert widths(await bench.faces(2)) == [20, 22]
        await until(lambda: not bench.busy())
        assert patient.begun == [20, 22]
        assert bench.stage.value("skipped_frames_total", stream="door", reason="too-old") == 1

        # It is done once its number is on the log.
        ledger = bench.stage.of("frames")
        assert (ledger.in_work, ledger.committable) == (1, 1)
        delivery.hold(topics.streams)
        publishing = asyncio.create_task(bench.publish())
        await until(lambda: delivery.withheld(topics.streams))
        assert ledger.in_work == 1
        delivery.let_go(topics.streams)
        (status,) = await publishing
        assert ledger.in_work == 0
    assert (status.frames, status.skipped) == (2, {"too-old": 1})
    assert delivery.of(topics.dead_letters) == []


async def test_a_recording_is_never_skipped(make_bench: MakeBench, patient: Patient, recorded: Any) -> None:
    bench = make_bench(patient, live_max_age=0.1)
    async with bench.recordings as agent:
        await bench.send(agent, recorded(20))
        await bench.faces(1)
        (status,) = await bench.publish()
    assert (status.frames, status.skipped, status.waiting) == (1, {}, 0)


async def test_frames_that_wait_are_told_of(make_bench: MakeBench, patient: Patient, recorded: Any) -> None:
    bench = make_bench(patient, in_flight=1)
    patient.hold(20)
    async with bench.recordings as agent:
        for width in range(20, 26):
            await bench.send(agent, recorded(width))
        await until(lambda: patient.begun and sum(one.waiting for one in bench.partitions.monitors) == 5)
        (status,) = await bench.publish()
        patient.let_go(20)
        await bench.faces(6)
    assert (status.stream, status.waiting, status.frames, status.faces_offset) == ("door", 5, 0, None)


async def test_what_was_revoked_meanwhile_is_neither_published_nor_done(
    make_bench: MakeBench, patient: Patient, recorded: Any
) -> None:
    bench = make_bench(patient, in_flight=1)
    ledger = bench.stage.of("recordings")
    patient.hold(20)
    async with bench.recordings as agent:
        for width in (20, 21):
            await bench.send(agent, recorded(width))
        await until(lambda: patient.begun)
        bench.partitions.drop()
        bench.stage.ledger.close(("recordings", 0))
        patient.let_go(20)
        await until(lambda: not bench.busy())
        # The next worker, or this one again, does both.
        bench.stage.ledger.open(("recordings", 0), ledger.committable)
        bench.partitions.assign([0])
        for offset, width in enumerate((20, 21)):
            await bench.send(agent, recorded(width), offset=offset)
        found = await bench.faces(2)
        await bench.stage.all_done("recordings")
    assert [faces.offset for faces in found] == [0, 1]
    assert patient.begun == [20, 20, 21]
    assert ledger.committable == 0


async def test_a_recording_never_stands_before_a_camera(
    make_bench: MakeBench, patient: Patient, recorded: Any, live: Any
) -> None:
    bench = make_bench(patient, in_flight=2)
    crowd = [*range(30, 30 + 2 * lanes._MOST)]
    patient.hold(*crowd)
    async with bench.recordings as recordings, bench.cameras as cameras:
        for width in crowd:
            await bench.send(recordings, recorded(width))
        await until(lambda: bench.stage.consumer.full == {("recordings", 0)})
        await bench.send(cameras, live(20))
        (faces,) = await bench.faces(1)
        await bench.stage.all_done("frames")
        assert (faces.width, bench.stage.of("recordings").in_work) == (20, len(crowd))
        patient.let_go()
        await bench.faces(1 + len(crowd))
        await until(lambda: not bench.stage.consumer.full)


async def test_a_recording_moves_on_while_a_camera_is_busy(
    make_bench: MakeBench, patient: Patient, recorded: Any, live: Any
) -> None:
    bench = make_bench(patient, in_flight=2, live_max_age=60)
    patient.hold(*range(30, 34))
    async with bench.recordings as recordings, bench.cameras as cameras:
        for width in range(30, 34):
            await bench.send(cameras, live(width))
        await until(lambda: len(patient.begun) == 2)
        for width in (20, 21, 22):
            await bench.send(recordings, recorded(width))
        assert widths(await bench.faces(3)) == [20, 21, 22]
        assert bench.stage.of("frames").in_work == 4
        patient.let_go()
        await bench.faces(7)


async def test_a_long_recording_moves_on_however_long_a_camera_is_there(
    make_bench: MakeBench, patient: Patient, recorded: Any, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one place for its frames, none may hold it that has to wait for an earlier one."""
    monkeypatch.setattr(lanes, "_EXPECTED", 3600.0)
    bench = make_bench(patient, in_flight=3, live_max_age=60)
    monkeypatch.setattr(bench.recognise, "_share", lanes.Share(3, 1))
    async with bench.recordings as recordings, bench.cameras as cameras:
        await bench.send(cameras, live(30))
        await bench.faces(1)
        for width in range(20, 28):
            await bench.send(recordings, recorded(width))
        assert widths(await bench.faces(9))[1:] == [*range(20, 28)]


async def test_finishing_waits_for_frames_in_work_and_begins_no_more(
    make_bench: MakeBench, patient: Patient, recorded: Any
) -> None:
    bench = make_bench(patient, in_flight=1)
    faces = bench.stage.topics.faces
    bench.stage.delivery.hold(faces)
    patient.hold(20)
    async with bench.recordings as agent:
        for width in (20, 21):
            await bench.send(agent, recorded(width))
        await until(lambda: patient.begun)
        finishing = asyncio.create_task(bench.recognise.finish())
        await asyncio.sleep(0)
        # Faust hands out what it has fetched while the partitions go.
        await bench.send(agent, recorded(22))
        await until(lambda: bench.stage.of("recordings").in_work == 3)
        patient.let_go(20)
        await until(lambda: bench.stage.delivery.withheld(faces))
        assert not finishing.done()
        bench.stage.delivery.let_go(faces)
        await finishing
        assert not bench.busy()
        assert bench.stage.of("recordings").committable == 1

        # A worker that has the partition again begins where it was left.
        bench.stage.open()
        bench.partitions.assign([0])
        for offset, width in enumerate((21, 22), 1):
            await bench.send(agent, recorded(width), offset=offset)
        assert widths(await bench.faces(3)) == [20, 21, 22]
    assert patient.begun == [20, 21, 22]


async def test_finishing_does_not_wait_for_ever(
    make_bench: MakeBench, patient: Patient, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FINISH", 0.05)
    bench = make_bench(patient)
    patient.hold(20)
    async with bench.recordings as agent:
        await bench.send(agent, recorded(20))
        await until(lambda: patient.begun)
        await bench.recognise.finish()
        assert bench.busy()


async def test_streams_take_turns(make_bench: MakeBench, patient: Patient, recorded: Any) -> None:
    """One of which much waits stands before none of which little does."""
    bench = make_bench(patient, in_flight=1)
    patient.hold(20)

    def frames() -> list[Frame]:
        long = [recorded(width) for width in range(20, 26)]
        return [*long, recorded(30, stream="yard"), recorded(40, stream="gate")]

    async with bench.recordings as agent:
        for frame in frames():
            await bench.send(agent, frame)
        await until(lambda: bench.stage.of("recordings").in_work == 8)
        patient.let_go(20)
        await bench.faces(8)
    assert patient.begun[:5] == [20, 21, 30, 40, 22]
