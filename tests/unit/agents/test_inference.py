"""What is done with frames in threads: together where that is quicker, and a bad one harms no other."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from clock import Clock
from machine import patience
from makers import make_frame
from studio import until

from app.agents import inference as module
from app.agents.inference import Embedded, InferencePool, Looked, NetsError, TooOld
from app.messages import Frame, Gate
from app.models.detection import Detections
from app.models.embedding import Vectors
from app.models.images import Floats, Image, ImageError, decode_jpeg, encode_jpeg

#: A picture is told by its width; one of this width breaks the nets.
BAD = 999
#: What the gate says of the faces of every picture.
GATES = np.array([Gate.PASSED, Gate.SMALL, Gate.PASSED], np.uint8)
#: None of their pictures are to travel.
NONE = np.zeros(3, np.bool_)


class Nets:
    """Nets that find three faces on every picture; the x of each box is the picture's width."""

    def __init__(self) -> None:
        #: Widths of the pictures that were looked at, and embedded, by call.
        self.looked: list[list[int]] = []
        self.embedded: list[list[int]] = []
        self.checked = 0
        #: The nets fail whatever they are shown.
        self.gone = False
        #: How the system prefers the threads that looked, and what they are called.
        self.niceness: set[int] = set()
        self.names: set[str] = set()
        #: Set by a thread that has begun; clear `go_on`, and it waits.
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def detect_all(self, images: Sequence[Image]) -> list[tuple[Detections, Any]]:
        self.looked.append([image.shape[1] for image in images])
        if hasattr(os, "getpriority"):
            self.niceness.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        self.names.add(threading.current_thread().name.partition("_")[0])
        self.begun.set()
        assert self.go_on.wait(20)
        self._fail_on(self.looked[-1])
        return [(_found(image.shape[1]), GATES) for image in images]

    def align(self, image: Image, detections: Detections, gates: Any) -> Image:
        aligned = np.zeros((len(detections), 112, 112, 3), np.uint8)
        aligned[:] = image.shape[1] % 256
        return aligned

    def embed_all(self, aligned: Sequence[Image], gates: Sequence[Any]) -> list[Vectors]:
        self.embedded.append([int(faces[0, 0, 0, 0]) for faces in aligned])
        self._fail_on(self.embedded[-1])
        return [Vectors(np.full((len(column), 4), faces[0, 0, 0, 0], np.float32), np.ones(len(column)))
                for faces, column in zip(aligned, gates, strict=True)]  # fmt: skip

    def quality(self, detections: Detections, aligned: Image, vectors: Vectors) -> Floats:
        return np.full(len(detections), 0.5, np.float32)

    def check(self) -> None:
        self.checked += 1
        self._fail_on([])

    def _fail_on(self, widths: Sequence[int]) -> None:
        if self.gone or BAD in widths or BAD % 256 in widths:
            raise RuntimeError("CUDA error 700\nand more")


def _found(width: int) -> Detections:
    boxes = np.full((3, 4), width, np.float32)
    return Detections(boxes, np.zeros((3, 5, 2), np.float32), np.ones(3, np.float32))


def frame(width: int, **more: Any) -> Frame:
    return make_frame(encode_jpeg(np.full((48, width, 3), 90, np.uint8)), **more)


def pool_of(nets: Nets, threads: int = 2, **more: Any) -> InferencePool:
    recogniser: Any = nets
    return InferencePool(recogniser, threads, **({"max_age": 5.0} | more))


def widths(outcomes: Sequence[Any]) -> list[Any]:
    """Return the width of each picture that was looked at, and what became of the others."""
    return [int(one.detections.boxes[0, 0]) if isinstance(one, Looked) else type(one) for one in outcomes]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(time.time())
    monkeypatch.setattr(module, "time", clock)
    return clock


async def test_a_frame_is_decoded_and_looked_at() -> None:
    nets, shown = Nets(), frame(64)
    with pool_of(nets) as pool:
        (looked,) = await pool.look([shown])
    assert isinstance(looked, Looked)
    np.testing.assert_array_equal(looked.image, decode_jpeg(shown.jpeg))
    assert (widths([looked]), looked.gates.tolist()) == ([64], GATES.tolist())
    assert looked.seconds.keys() == {"decode", "detect"}
    assert min(looked.seconds.values()) > 0
    assert (nets.looked, nets.checked) == ([[64]], 0)


async def test_frames_are_looked_at_together_in_their_order() -> None:
    nets = Nets()
    with pool_of(nets, threads=4) as pool:
        assert widths(await pool.look([frame(width) for width in (70, 64, 90, 80)])) == [70, 64, 90, 80]
    assert nets.looked == [[70, 64, 90, 80]]


async def test_no_frames_are_no_work() -> None:
    nets = Nets()
    with pool_of(nets) as pool:
        assert (await pool.look([]), await pool.embed([], [])) == ([], [])
    assert (nets.looked, nets.embedded, nets.checked) == ([], [], 0)


@pytest.mark.parametrize("beside", [0, 2], ids=["alone", "among others"])
async def test_a_picture_that_breaks_the_decoder_leaves_others_alone(
    beside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(jpeg: bytes) -> Image:
        if jpeg == b"breaks":
            raise MemoryError("no room for it")
        return decode_jpeg(jpeg)

    monkeypatch.setattr(module, "decode_jpeg", decode)
    with pool_of(Nets()) as pool:
        outcomes = await pool.look([make_frame(b"breaks"), *[frame(64)] * beside])
    assert widths(outcomes) == [MemoryError] + [64] * beside


@pytest.mark.parametrize("beside", [0, 2], ids=["alone", "among others"])
async def test_a_bad_picture_leaves_others_alone(beside: int) -> None:
    nets = Nets()
    bad = make_frame(b"\xff\xd8\xff junk \xff\xd9")
    with pool_of(nets) as pool:
        outcomes = await pool.look([bad, *[frame(64)] * beside])
    assert widths(outcomes) == [ImageError] + [64] * beside
    assert (nets.looked, nets.checked) == ([[64] * beside] if beside else [], 0)


@pytest.mark.parametrize("beside", [0, 2], ids=["alone", "among others"])
async def test_a_frame_that_the_nets_cannot_bear_is_its_own_fault(
    beside: int, caplog: pytest.LogCaptureFixture
) -> None:
    nets = Nets()
    with pool_of(nets) as pool:
        outcomes = await pool.look([*[frame(64)] * beside, frame(BAD)])
    assert widths(outcomes) == [64] * beside + [RuntimeError]
    assert nets.looked == ([[64, 64, BAD], [64], [64], [BAD]] if beside else [[BAD]])
    assert nets.checked == 1
    text = "the nets fail on 3 frames together, which are now tried one by one: CUDA error 700 and more"
    assert caplog.messages == ([text] if beside else [])


@pytest.mark.parametrize("count", [1, 3])
async def test_nets_that_fail_on_any_picture_are_nobodys_fault(count: int) -> None:
    nets = Nets()
    nets.gone = True
    with pool_of(nets) as pool, pytest.raises(NetsError, match="on every picture: CUDA error 700") as caught:
        await pool.look([frame(64)] * count)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert (nets.checked, len(nets.looked)) == (1, 1 if count == 1 else 2)


async def test_faces_are_embedded_together_and_chosen_crops_travel() -> None:
    nets = Nets()
    with pool_of(nets) as pool:
        looked = [one for one in await pool.look([frame(64), frame(80)]) if isinstance(one, Looked)]
        first, second = await pool.embed(looked, [NONE, GATES == Gate.PASSED])
    assert isinstance(first, Embedded)
    assert isinstance(second, Embedded)
    assert nets.embedded == [[64, 80]]
    assert [one.embeddings.tolist() for one in (first, second)] == [[[64.0] * 4] * 3, [[80.0] * 4] * 3]
    assert first.crops == [None] * 3
    assert first.quality.tolist() == [0.5] * 3
    assert [crop is not None for crop in second.crops] == [True, False, True]
    assert second.crops[0] is not None
    assert np.abs(decode_jpeg(second.crops[0]).astype(int) - 80).max() <= 2
    assert first.seconds.keys() == {"align", "embed"}
    assert min(first.seconds.values()) > 0


@pytest.mark.parametrize("beside", [0, 2], ids=["alone", "among others"])
async def test_faces_that_cannot_be_embedded_leave_others_alone(beside: int) -> None:
    nets = Nets()
    with pool_of(nets) as pool:
        (good,) = await pool.look([frame(64)])
        assert isinstance(good, Looked)
        bad = replace(good, image=np.zeros((48, BAD, 3), np.uint8))
        made = await pool.embed([*[good] * beside, bad], [NONE] * (beside + 1))
    assert [type(one) for one in made] == [Embedded] * beside + [RuntimeError]
    assert nets.checked == 1
    with pool_of(nets) as pool:
        nets.gone = True
        with pytest.raises(NetsError):
            await pool.embed([good], [NONE])


async def test_whether_a_frame_is_too_old_is_judged_when_its_turn_comes(clock: Clock) -> None:
    nets = Nets()
    nets.go_on.clear()
    captured = int(clock.now * 1000)
    with pool_of(nets, threads=1, max_age=5.0) as pool:
        first = asyncio.create_task(pool.look([frame(64, live=True, captured=captured)]))
        await until(nets.begun.is_set)
        waiting = [
            asyncio.create_task(pool.look([frame(70, live=live, captured=captured + later)]))
            for live, later in [(True, 0), (False, 0), (True, 3000)]
        ]
        clock.now += 6
        nets.go_on.set()
        async with patience(20):
            assert widths(await first) == [64]
            assert [widths(await one) for one in waiting] == [[TooOld], [70], [70]]


async def test_old_frames_among_others_are_not_worked_on(clock: Clock) -> None:
    nets, now = Nets(), int(clock.now * 1000)
    frames = [frame(60 + age, live=live, captured=now - age * 1000) for live, age in
              [(True, 0), (True, 6), (False, 60), (True, 4)]]  # fmt: skip
    with pool_of(nets, max_age=5.0) as pool:
        assert widths(await pool.look(frames)) == [60, TooOld, 120, 64]
        assert widths(await pool.look(frames[1:2])) == [TooOld]
    assert nets.looked == [[60, 120, 64]]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells threads apart")
async def test_the_system_prefers_other_threads_to_those_of_recordings(count: int) -> None:
    cameras, recordings = Nets(), Nets()
    with pool_of(cameras) as pool, pool_of(recordings, background=True) as background:
        await pool.look([frame(64)] * count)
        await background.look([frame(64)] * count)
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert (cameras.niceness, recordings.niceness) == ({own}, {min(19, own + 4)})
    assert (cameras.names, recordings.names) == ({"recognise"}, {"recordings"})


async def test_who_waits_for_a_thread_when_it_closes_is_let_go() -> None:
    nets = Nets()
    nets.go_on.clear()
    with pool_of(nets, threads=1) as pool:
        under_way = asyncio.create_task(pool.look([frame(64)]))
        await until(nets.begun.is_set)
        waiting = asyncio.create_task(pool.look([frame(70)]))
        await asyncio.sleep(0)
    async with patience(20):
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not under_way.done()
        nets.go_on.set()
        assert widths(await under_way) == [64]
    assert nets.looked == [[64]]


async def test_room_is_taken_for_each_stage_and_held_for_no_longer() -> None:
    """What waits for room between two stages of a recording has it then, not only after the frame."""
    taken: list[bool] = []

    @asynccontextmanager
    async def room() -> AsyncIterator[None]:
        taken.append(True)
        yield
        taken.append(False)

    with pool_of(Nets(), room=room) as pool:
        looked = await pool.look([frame(64), frame(65)])
        assert taken == [True, False]
        await pool.embed([one for one in looked if isinstance(one, Looked)], [NONE, NONE])
        assert taken == [True, False, True, False]


async def test_where_there_is_nothing_to_embed_nobody_waits_for_room() -> None:
    async def no_room() -> AsyncIterator[None]:
        raise AssertionError("room was asked for")
        yield

    with pool_of(Nets(), room=asynccontextmanager(no_room)) as pool:
        image, small = np.zeros((48, 64, 3), np.uint8), np.full(3, Gate.SMALL, np.uint8)
        scene, patches = np.zeros((18, 32), np.uint8), np.zeros((3, 192), np.float32)
        looked = Looked(image, _found(64), small, np.zeros(3, np.float32), patches, scene, {})
        [found] = await pool.embed([looked], [NONE])
    assert isinstance(found, Embedded) and found.crops == [None] * 3
