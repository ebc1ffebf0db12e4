"""The recognition agent with the real nets: in order, without loss, and never stopped by a bad frame."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import EMBEDDER, START, make_frame

from app.agents import analyst
from app.agents.analyst import NetsError
from app.agents.board import Board
from app.agents.nets import Nets
from app.agents.recognise import Recognise
from app.messages import DeadLetter, Faces, Frame, decode, encode_frame
from app.models.detection import Detector
from app.models.gate import Gate
from app.models.images import decode_jpeg, encode_jpeg
from app.models.pipeline import Recogniser, load_recogniser
from app.settings import Settings

TWO_PEOPLE = "face_recognition/examples/two_people.jpg"
ONE = "face_recognition/tests/test_images/obama.jpg"
EMPTY = encode_jpeg(np.full((120, 160, 3), 90, np.uint8))


@pytest.fixture(scope="module", params=[1, 4], ids=["one by one", "in batches"])
def recogniser(request: pytest.FixtureRequest, weights: Path) -> Recogniser:
    """The nets as they are used on a CPU and, four frames together, as on a GPU."""
    return load_recogniser(Settings(weights_dir=weights, device="cpu", batch=request.param))


@pytest.fixture
def nets(recogniser: Recogniser) -> Nets:
    return Nets(lambda: recogniser, "finder@01234567", EMBEDDER)


class Bench:
    """The agent, fed by hand."""

    def __init__(self, stage: Any, nets: Nets, settings: Settings) -> None:
        self.stage = stage
        self.board = Board(stage.topics, stage.delivery, stage.metrics, lambda: "here:1")
        self.recognise = Recognise(
            settings, stage.topics, nets, stage.delivery, stage.dead_letters, self.board, stage.metrics
        )
        self.context = stage.agent("frames", self._run)
        self.events: list[Any] = []
        #: What the run ended with.
        self.ended: list[BaseException] = []

    async def _run(self, stream: Any) -> None:
        try:
            await self.recognise.run(stream)
        except BaseException as error:
            self.ended.append(error)
            raise

    async def send(self, agent: Any, frame: Frame, **changed: Any) -> None:
        key, value, headers = encode_frame(frame)
        message = {"value": value, "key": key, "headers": dict(headers), "partition": 1} | changed
        self.events.append(await agent.put(**message, wait=False))

    async def faces(self, count: int) -> list[Faces]:
        kept = await self.stage.delivery.wait_for(self.stage.topics.faces, count)
        return [decode(Faces, delivered.value) for delivered in kept]

    async def dead_letters(self, count: int) -> list[DeadLetter]:
        kept = await self.stage.delivery.wait_for(self.stage.topics.dead_letters, count)
        return [decode(DeadLetter, delivered.value) for delivered in kept]


@pytest.fixture
def make_bench(stage: Any, nets: Nets) -> Any:
    def make(other: Nets = nets, **more: Any) -> Bench:
        return Bench(stage, other, Settings(in_flight=3, **more))

    return make


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def acknowledged(events: list[Any]) -> bool:
    return all(event.message.acked for event in events)


async def test_a_real_frame(make_bench: Any, photo: Any, recogniser: Recogniser, nets: Nets) -> None:
    bench, jpeg = make_bench(), photo(TWO_PEOPLE)
    async with bench.context as agent:
        await bench.send(agent, make_frame(jpeg, seq=7, width=1, height=1))
        (faces,) = await bench.faces(1)
        await until(lambda: acknowledged(bench.events))
    expected = recogniser.analyse(decode_jpeg(jpeg))
    assert len(faces) == 2
    assert (faces.stream, faces.partition, faces.offset, faces.seq) == ("door", 1, 0, 7)
    assert (faces.detector, faces.embedder) == (nets.detector, nets.embedder)
    assert (faces.height, faces.width) == decode_jpeg(jpeg).shape[:2]
    assert faces.gates.tolist() == [Gate.PASSED] * 2
    np.testing.assert_allclose(faces.boxes, expected.detections.boxes, atol=1e-3)
    np.testing.assert_allclose(faces.embeddings, expected.embeddings, atol=1e-3)
    assert all(crop and decode_jpeg(crop).shape == (112, 112, 3) for crop in faces.crops)
    (delivered,) = bench.stage.delivery.of(bench.stage.topics.faces)
    assert (delivered.key, delivered.partition) == (b"door", 1)


async def test_order_is_kept_with_several_frames_in_flight(make_bench: Any, photo: Any) -> None:
    """Frames that take long stand before frames that take none: all of them leave in their order."""
    bench = make_bench()
    slow, pictures = photo(TWO_PEOPLE), 12
    async with bench.context as agent:
        for seq in range(pictures):
            await bench.send(agent, make_frame(EMPTY if seq % 3 else slow, seq=seq, captured=START + seq))
        found = await bench.faces(pictures)
        await until(lambda: acknowledged(bench.events))
    assert [faces.seq for faces in found] == list(range(pictures))
    assert [faces.offset for faces in found] == list(range(pictures))
    assert [len(faces) for faces in found] == [0 if seq % 3 else 2 for seq in range(pictures)]


async def test_frames_of_several_streams_go_through_the_nets_together(
    make_bench: Any, recogniser: Recogniser, nets: Nets
) -> None:
    sizes: list[int] = []

    class Counting(Recogniser):
        def analyse_all(self, images: Any) -> Any:
            sizes.append(len(images))
            return recogniser.analyse_all(images)

    counting = Counting(recogniser.detector, recogniser.embedder, 24, 0.5, recogniser.batch)
    bench = make_bench(Nets(lambda: counting, nets.detector, nets.embedder), batch_wait=1.0)
    streams = ["door", "hall", "desk", "yard", "gate", "roof"]
    async with bench.context as agent:
        for stream in streams:
            await bench.send(agent, make_frame(EMPTY, stream=stream))
        found = await bench.faces(len(streams))
        await until(lambda: acknowledged(bench.events))
    assert [faces.stream for faces in found] == streams
    assert sum(sizes) == len(streams)
    assert max(sizes) == recogniser.batch


async def test_nothing_is_acknowledged_before_it_is_written(make_bench: Any) -> None:
    bench = make_bench()
    bench.stage.delivery.open.clear()
    async with bench.context as agent:
        await bench.send(agent, make_frame(EMPTY))
        await asyncio.sleep(0.3)
        assert not acknowledged(bench.events)
        bench.stage.delivery.open.set()
        await until(lambda: acknowledged(bench.events))
    assert len(bench.stage.delivery.of(bench.stage.topics.faces)) == 1


async def test_a_bad_frame_is_a_dead_letter_and_the_stream_goes_on(make_bench: Any, photo: Any) -> None:
    bench, good = make_bench(), photo(ONE)
    async with bench.context as agent:
        await bench.send(agent, make_frame(good, seq=0))
        await bench.send(agent, make_frame(good[: len(good) // 2], seq=1))
        await bench.send(agent, make_frame(good, seq=2), headers={})
        await bench.send(agent, make_frame(good, seq=3), key=b"no name")
        await bench.send(agent, make_frame(good, seq=4), value=b"GIF89a")
        await bench.send(agent, make_frame(b"\xff\xd8\xff junk \xff\xd9", seq=5))
        await bench.send(agent, make_frame(good, seq=6))
        found, dead_letters = await bench.faces(2), await bench.dead_letters(5)
        await until(lambda: acknowledged(bench.events))
    assert [faces.seq for faces in found] == [0, 6]
    assert [(letter.offset, letter.reason) for letter in dead_letters] == [
        (1, "not-an-image"), (2, "malformed"), (3, "malformed"), (4, "not-an-image"), (5, "not-an-image"),
    ]  # fmt: skip
    assert {(letter.topic, letter.partition) for letter in dead_letters} == {("frames", 1)}
    assert all(letter.detail for letter in dead_letters)


async def test_what_nobody_foresaw_is_a_dead_letter_too(
    make_bench: Any, nets: Nets, recogniser: Recogniser, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Recogniser):
        def analyse_all(self, images: Any) -> Any:
            if any(image.shape[0] == 48 for image in images):
                raise RuntimeError("the net gave up")
            return recogniser.analyse_all(images)

    failing = Failing(recogniser.detector, recogniser.embedder, 24, 0.5, recogniser.batch)
    bench = make_bench(Nets(lambda: failing, nets.detector, nets.embedder), batch_wait=0.3)
    async with bench.context as agent:
        await bench.send(agent, make_frame(encode_jpeg(np.zeros((48, 64, 3), np.uint8)), seq=0))
        await bench.send(agent, make_frame(EMPTY, seq=1))
        ((faces,), (letter,)) = await bench.faces(1), await bench.dead_letters(1)
        await until(lambda: acknowledged(bench.events))
    assert (faces.seq, letter.offset, letter.reason) == (1, 0, "internal-error")
    assert "the net gave up" in caplog.text
    assert ("on 2 frames together, which are now tried one by one" in caplog.text) == (recogniser.batch > 1)
    assert not [error for error in bench.ended if isinstance(error, Exception)]


async def test_nets_that_fail_on_everything_end_the_run_and_lose_no_frame(
    make_bench: Any, nets: Nets, recogniser: Recogniser, caplog: pytest.LogCaptureFixture
) -> None:
    """A GPU that is gone must not make dead letters of all that comes."""

    class Gone(Detector):
        def detect_all(self, images: Any) -> Any:
            raise RuntimeError("CUDA error 700")

    broken = Recogniser(Gone(), recogniser.embedder, 24, 0.5, recogniser.batch)
    bench = make_bench(Nets(lambda: broken, nets.detector, nets.embedder))
    async with bench.context as agent:
        for seq in range(4):
            await bench.send(agent, make_frame(EMPTY, seq=seq))
        await until(lambda: bool(bench.ended))
        await bench.send(agent, make_frame(EMPTY, seq=4), partition=0)
        await asyncio.sleep(0.3)
    (group,) = bench.ended
    assert isinstance(group, ExceptionGroup)
    assert group.subgroup(NetsError) is not None
    assert "CUDA error 700" in str(group.exceptions[0])
    assert not any(event.message.acked for event in bench.events)
    assert bench.stage.delivery.of(bench.stage.topics.dead_letters) == []


async def test_what_comes_after_the_run_has_failed_is_not_acknowledged(make_bench: Any) -> None:
    bench = make_bench()

    async def refuse(*message: Any) -> Any:
        raise RuntimeError("Kafka says no")

    async with bench.context as agent:
        await bench.send(agent, make_frame(EMPTY, seq=0))
        await bench.faces(1)
        await until(lambda: acknowledged(bench.events))
        bench.stage.delivery.put = refuse
        await bench.send(agent, make_frame(EMPTY, seq=1))
        await until(lambda: bool(bench.ended))
        for seq in range(2, 8):
            await bench.send(agent, make_frame(EMPTY, seq=seq), partition=0)
        await asyncio.sleep(0.3)
    assert [event.message.acked for event in bench.events] == [True] + 7 * [False]


async def test_a_stop_in_the_middle_of_the_work_buries_nothing(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding, go_on = threading.Event(), threading.Event()

    def slowly(jpeg: bytes) -> Any:
        decoding.set()
        go_on.wait(30)
        return decode_jpeg(jpeg)

    monkeypatch.setattr(analyst, "decode_jpeg", slowly)
    bench = make_bench()
    async with bench.context as agent:
        for seq in range(4):
            await bench.send(agent, make_frame(EMPTY, seq=seq))
        await until(decoding.is_set)
    go_on.set()
    await until(lambda: not any(thread.name.startswith("recognise") for thread in threading.enumerate()))
    delivery, topics = bench.stage.delivery, bench.stage.topics
    assert (delivery.of(topics.dead_letters), delivery.of(topics.faces)) == ([], [])
    assert not any(event.message.acked for event in bench.events)


async def test_old_live_frames_are_skipped_and_counted_and_recordings_never_are(make_bench: Any) -> None:
    bench = make_bench(live_max_age=5.0)
    now = int(time.time() * 1000)
    async with bench.context as agent:
        for seq, (live, age) in enumerate([(True, 60_000), (True, 0), (False, 60_000), (True, 60_000)]):
            await bench.send(agent, make_frame(EMPTY, seq=seq, live=live, captured=now - age))
        found = await bench.faces(2)
        await until(lambda: acknowledged(bench.events))
    assert [faces.seq for faces in found] == [1, 2]
    await bench.board.publish()
    value = bench.stage.metrics.registry.get_sample_value
    labels = {"stream": "door", "reason": "too-old"}
    assert value("onlooker_skipped_frames_total", labels) == 2
    assert value("onlooker_frames_total", {"stream": "door"}) == 2
    assert bench.stage.delivery.of(bench.stage.topics.dead_letters) == []


async def test_gated_faces_carry_no_embedding(
    make_bench: Any, photo: Any, recogniser: Recogniser, nets: Nets
) -> None:
    jpeg = photo("groups/t1.jpg")
    boxes = recogniser.analyse(decode_jpeg(jpeg)).detections.boxes
    sizes = (boxes[:, 2:] - boxes[:, :2]).min(axis=1)
    least = int(np.ceil(np.median(sizes)))
    strict = Recogniser(recogniser.detector, recogniser.embedder, least, 0.5, recogniser.batch)
    bench = make_bench(Nets(lambda: strict, nets.detector, nets.embedder))
    async with bench.context as agent:
        await bench.send(agent, make_frame(jpeg))
        (faces,) = await bench.faces(1)
    passed = faces.gates == Gate.PASSED
    assert passed.any() and not passed.all()
    assert passed.tolist() == (sizes >= least).tolist()
    np.testing.assert_allclose(np.linalg.norm(faces.embeddings[passed].astype(float), axis=1), 1, atol=2e-3)
    assert not faces.embeddings[~passed].any()
    assert [crop is not None for crop in faces.crops] == passed.tolist()
