"""The recognition agent with the real nets: in order, without loss, and never stopped by a bad frame."""

import asyncio
import itertools
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from machine import SLOWNESS
from makers import EMBEDDER, START, make_frame
from media.stills import GROUP, PORTRAIT, TWO_PEOPLE
from studio import until
from workbench import MakeBench

from app.agents import inference
from app.agents.inference import NetsError
from app.messages import Gate
from app.models.detection import Detector
from app.models.embedding import Vectors
from app.models.images import decode_jpeg, encode_jpeg
from app.models.pipeline import Nets, Recogniser, load_recogniser
from app.settings import Settings
from app.tracking import TrackletRules

EMPTY = encode_jpeg(np.full((120, 160, 3), 90, np.uint8))


@pytest.fixture(scope="module", params=[1, 4], ids=["one by one", "in batches"])
def recogniser(request: pytest.FixtureRequest, weights: Path) -> Recogniser:
    """The nets as they are used on a CPU and, four frames together, as on a GPU."""
    return load_recogniser(Settings(weights_dir=weights, device="cpu", batch=request.param))


@pytest.fixture
def nets(recogniser: Recogniser) -> Nets:
    return Nets(lambda: recogniser, "finder@01234567", EMBEDDER)


async def test_a_real_frame(make_bench: MakeBench, photo: Any, recogniser: Recogniser, nets: Nets) -> None:
    bench, jpeg = make_bench(), photo(TWO_PEOPLE)
    async with bench.recordings as agent:
        await bench.send(agent, make_frame(jpeg, seq=7, width=1, height=1), partition=1)
        (faces,) = await bench.faces(1)
        await bench.stage.all_done("recordings", 1)
    expected = recogniser.analyse(decode_jpeg(jpeg))
    assert len(faces) == 2
    assert (faces.stream, faces.partition, faces.offset, faces.seq) == ("door", 1, 0, 7)
    assert (faces.detector, faces.embedder) == (nets.detector, nets.embedder)
    assert (faces.height, faces.width) == decode_jpeg(jpeg).shape[:2]
    assert faces.gates.tolist() == [Gate.PASSED] * 2
    np.testing.assert_allclose(faces.boxes, expected.detections.boxes, atol=1e-3)
    np.testing.assert_allclose(faces.embeddings, expected.embeddings, atol=1e-3)
    assert all(crop and decode_jpeg(crop).shape == (112, 112, 3) for crop in faces.crops)
    np.testing.assert_allclose(faces.quality, expected.quality, atol=1e-3)
    assert len({*faces.tracklets.tolist()}) == 2
    (delivered,) = bench.stage.delivery.of(bench.stage.topics.faces)
    assert (delivered.key, delivered.partition) == (b"door", 1)


async def test_order_is_kept_with_several_frames_in_flight(make_bench: MakeBench, photo: Any) -> None:
    """Frames that take long stand before frames that take none: all of them leave in their order."""
    bench = make_bench()
    slow, pictures = photo(TWO_PEOPLE), 12
    async with bench.recordings as agent:
        for seq in range(pictures):
            await bench.send(agent, make_frame(EMPTY if seq % 3 else slow, seq=seq, captured=START + seq))
        found = await bench.faces(pictures)
        await bench.stage.all_done("recordings")
    assert [faces.seq for faces in found] == list(range(pictures))
    assert [faces.offset for faces in found] == list(range(pictures))
    assert [len(faces) for faces in found] == [0 if seq % 3 else 2 for seq in range(pictures)]


class Hesitant(Recogniser):
    """Is done with the first picture when it has looked at the second one, unless they come together."""

    def __init__(self, nets: Recogniser) -> None:
        super().__init__(nets.detector, nets.embedder, 24, 0.5, nets.batch)
        self._looks = itertools.count()
        self._second = threading.Event()

    def detect_all(self, images: Any) -> Any:
        number = next(self._looks)
        found = super().detect_all(images)
        if number or len(images) > 1:
            self._second.set()
        assert self._second.wait(30 * SLOWNESS)
        return found


async def test_whose_crops_travel_is_decided_in_order(
    make_bench: MakeBench, photo: Any, recogniser: Recogniser
) -> None:
    """The second frame is looked at before the first one, and comes so soon that its crops stay."""
    bench = make_bench(Hesitant(recogniser))
    async with bench.recordings as agent:
        for seq in range(2):
            await bench.send(agent, make_frame(photo(TWO_PEOPLE), seq=seq, captured=START + seq))
        found = await bench.faces(2)
    assert [[crop is not None for crop in faces.crops] for faces in found] == [[True, True], [False, False]]


async def test_a_face_that_is_followed_is_embedded_when_it_is_due(make_bench: MakeBench, photo: Any) -> None:
    bench = make_bench(tracklets=TrackletRules(beat=2000))
    async with bench.recordings as agent:
        for seq in range(6):
            await bench.send(agent, make_frame(photo(PORTRAIT), seq=seq, captured=START + 500 * seq))
        found = await bench.faces(6)
        await bench.stage.all_done("recordings")
    followed, embedded = [Gate.FOLLOWED], [Gate.PASSED]
    assert [one.gates.tolist() for one in found] == [
        embedded,
        embedded,
        embedded,
        followed,
        embedded,
        followed,
    ]
    assert [bool(one.embeddings.any()) for one in found] == [one.gates.tolist() == embedded for one in found]
    assert len({one.tracklets.tolist()[0] for one in found}) == 1
    # What is not embedded has the quality that its detection lets expect.
    assert all(0.4 < one.quality[0] < 1 for one in found)


async def test_a_camera_and_a_recording_of_one_name_are_two_places(make_bench: MakeBench, photo: Any) -> None:
    bench = make_bench(tracklets=TrackletRules(beat=2000))
    async with bench.recordings as recordings, bench.cameras as cameras:
        now = int(time.time() * 1000)
        await bench.send(recordings, make_frame(photo(PORTRAIT), captured=now - 100))
        await bench.faces(1)
        await bench.send(cameras, make_frame(photo(PORTRAIT), live=True, captured=now))
        found = await bench.faces(2)
    assert [one.gates.tolist() for one in found] == [[Gate.PASSED]] * 2


async def test_frames_of_several_streams_go_through_the_nets_together(
    make_bench: MakeBench, recogniser: Recogniser
) -> None:
    sizes: list[int] = []

    class Counting(Recogniser):
        def detect_all(self, images: Any) -> Any:
            sizes.append(len(images))
            return recogniser.detect_all(images)

    counting = Counting(recogniser.detector, recogniser.embedder, 24, 0.5, recogniser.batch)
    bench = make_bench(counting, batch_wait=1.0, in_flight=1)
    streams = ["door", "hall", "desk", "yard", "gate", "roof"]
    async with bench.recordings as agent:
        for stream in streams:
            await bench.send(agent, make_frame(EMPTY, stream=stream))
        found = await bench.faces(len(streams))
        await bench.stage.all_done("recordings")
    assert [faces.stream for faces in found] == streams
    assert sum(sizes) == len(streams)
    assert max(sizes) == recogniser.batch


async def test_nothing_is_done_before_it_is_written(make_bench: MakeBench) -> None:
    bench = make_bench()
    faces = bench.stage.topics.faces
    bench.stage.delivery.hold(faces)
    async with bench.recordings as agent:
        await bench.send(agent, make_frame(EMPTY))
        await until(lambda: bench.stage.delivery.withheld(faces))
        assert bench.stage.of("recordings").in_work == 1
        bench.stage.delivery.let_go(faces)
        await bench.stage.all_done("recordings")
    assert len(bench.stage.delivery.of(faces)) == 1


async def test_a_bad_frame_is_a_dead_letter_and_the_stream_goes_on(make_bench: MakeBench, photo: Any) -> None:
    bench, good = make_bench(), photo(PORTRAIT)
    async with bench.cameras as agent:
        now = int(time.time() * 1000)

        async def send(jpeg: bytes, seq: int, **changed: Any) -> None:
            frame = make_frame(jpeg, seq=seq, live=True, captured=now + 60_000)
            await bench.send(agent, frame, partition=1, **changed)

        await send(good, 0)
        await send(good[: len(good) // 2], 1)
        await send(good, 2, headers={})
        await send(good, 3, key=b"no name")
        await send(good, 4, value=b"GIF89a")
        await send(b"\xff\xd8\xff junk \xff\xd9", 5)
        await send(good, 6)
        found, dead_letters = await bench.faces(2), await bench.stage.letters(5)
        await bench.stage.all_done("frames", 1)
    assert [faces.seq for faces in found] == [0, 6]
    assert sorted((letter.offset, letter.reason) for letter in dead_letters) == [
        (1, "not-an-image"), (2, "malformed"), (3, "malformed"), (4, "not-an-image"), (5, "not-an-image"),
    ]  # fmt: skip
    assert {(letter.topic, letter.partition) for letter in dead_letters} == {("frames", 1)}
    assert all(letter.detail for letter in dead_letters)


@pytest.mark.parametrize("stage_that_fails", ["detect_all", "align", "embed_all"])
async def test_a_frame_on_which_the_nets_raise_is_a_dead_letter_and_the_next_ones_go_on(
    make_bench: MakeBench,
    photo: Any,
    recogniser: Recogniser,
    stage_that_fails: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    works = getattr(recogniser, stage_that_fails)
    small = encode_jpeg(np.zeros((48, 64, 3), np.uint8))
    # What one frame makes each stage be given.
    bad: dict[str, Any] = {
        "detect_all": lambda images: any(image.shape[0] == 48 for image in images),
        "align": lambda image, *_: image.shape[0] == 48,
        "embed_all": lambda aligned, _: any(len(faces) == 0 for faces in aligned),
    }

    def fragile(*given: Any) -> Any:
        if bad[stage_that_fails](*given):
            raise RuntimeError("the net gave up")
        return works(*given)

    failing = Recogniser(recogniser.detector, recogniser.embedder, 24, 0.5, recogniser.batch)
    monkeypatch.setattr(failing, stage_that_fails, fragile)
    bench, good = make_bench(failing, batch_wait=0.3), photo(PORTRAIT)
    async with bench.recordings as agent:
        for seq, jpeg in enumerate((small, good, good)):
            await bench.send(agent, make_frame(jpeg, seq=seq))
        (first, second), (letter,) = await bench.faces(2), await bench.stage.letters(1)
        await bench.stage.all_done("recordings")
        assert not bench.ended
    assert (first.seq, second.seq, letter.offset, letter.reason) == (1, 2, 0, "internal-error")
    assert "the net gave up" in caplog.text
    assert ("frames together, which are now tried one by one" in caplog.text) == (recogniser.batch > 1)


async def test_numbers_that_are_none_are_a_dead_letter(
    make_bench: MakeBench, photo: Any, recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the log would not take back must not end the run."""
    embed, good = recogniser.embed_all, photo(PORTRAIT)

    def odd(aligned: Any, gates: Any) -> Any:
        return [Vectors(made.embeddings * np.nan, made.lengths) for made in embed(aligned, gates)]

    odder = Recogniser(recogniser.detector, recogniser.embedder, 24, 0.5, recogniser.batch)
    monkeypatch.setattr(odder, "embed_all", odd)
    bench = make_bench(odder)
    async with bench.recordings as agent:
        await bench.send(agent, make_frame(good, seq=0))
        await bench.send(agent, make_frame(EMPTY, seq=1))
        ((faces,), (letter,)) = await bench.faces(1), await bench.stage.letters(1)
        await bench.stage.all_done("recordings")
        assert not bench.ended
    assert (faces.seq, letter.offset, letter.reason) == (1, 0, "internal-error")


async def test_nets_that_fail_on_everything_end_the_run_and_lose_no_frame(
    make_bench: MakeBench, recogniser: Recogniser
) -> None:
    """A GPU that is gone must not make dead letters of all that comes."""

    class Gone(Detector):
        def detect_all(self, images: Any) -> Any:
            raise RuntimeError("CUDA error 700")

    broken = Recogniser(Gone(), recogniser.embedder, 24, 0.5, recogniser.batch)
    bench = make_bench(broken)
    async with bench.recordings as agent:
        for seq in range(4):
            await bench.send(agent, make_frame(EMPTY, seq=seq))
        await until(lambda: bench.ended)
    (group,) = bench.ended
    assert isinstance(group, ExceptionGroup)
    assert group.subgroup(NetsError) is not None
    assert "CUDA error 700" in str(group.exceptions[0])
    assert bench.stage.of("recordings").committable == 0
    assert bench.stage.delivery.of(bench.stage.topics.dead_letters) == []


async def test_faces_that_kafka_refuses_are_a_dead_letter_and_where_it_refuses_that_the_run_ends(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    topics, delivery = bench.stage.topics, bench.stage.delivery
    post, refused = delivery.post, {topics.faces.name}

    def picky(topic: Any, *message: Any) -> Any:
        if topic.name not in refused:
            return post(topic, *message)
        future = asyncio.get_running_loop().create_future()
        future.set_exception(RuntimeError("Kafka says no"))
        return future

    monkeypatch.setattr(delivery, "post", picky)
    async with bench.recordings as agent:
        await bench.send(agent, make_frame(EMPTY, seq=0))
        (letter,) = await bench.stage.letters(1)
        await bench.stage.all_done("recordings")
        refused.add(topics.dead_letters.name)
        await bench.send(agent, make_frame(EMPTY, seq=1))
        await until(lambda: bench.ended)
    assert (letter.offset, letter.reason) == (0, "internal-error")
    assert bench.stage.of("recordings").committable == 1


async def test_a_stop_in_the_middle_of_the_work_writes_no_dead_letter(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding, go_on = threading.Event(), threading.Event()

    def slowly(jpeg: bytes) -> Any:
        decoding.set()
        go_on.wait(30 * SLOWNESS)
        return decode_jpeg(jpeg)

    monkeypatch.setattr(inference, "decode_jpeg", slowly)
    bench = make_bench()
    async with bench.recordings as agent:
        for seq in range(4):
            await bench.send(agent, make_frame(EMPTY, seq=seq))
        await until(decoding.is_set)
    go_on.set()
    await until(lambda: not any(thread.name.startswith("recordings") for thread in threading.enumerate()))
    delivery, topics = bench.stage.delivery, bench.stage.topics
    assert (delivery.of(topics.dead_letters), delivery.of(topics.faces)) == ([], [])
    assert bench.stage.of("recordings").committable == 0


async def test_gated_faces_carry_no_embedding(
    make_bench: MakeBench, photo: Any, recogniser: Recogniser
) -> None:
    jpeg = photo(GROUP)
    boxes = recogniser.analyse(decode_jpeg(jpeg)).detections.boxes
    sizes = (boxes[:, 2:] - boxes[:, :2]).min(axis=1)
    least = int(np.ceil(np.median(sizes)))
    bench = make_bench(Recogniser(recogniser.detector, recogniser.embedder, least, 0.5, recogniser.batch))
    async with bench.recordings as agent:
        await bench.send(agent, make_frame(jpeg))
        (faces,) = await bench.faces(1)
    passed = faces.gates == Gate.PASSED
    assert passed.any() and not passed.all()
    assert passed.tolist() == (sizes >= least).tolist()
    np.testing.assert_allclose(np.linalg.norm(faces.embeddings[passed].astype(float), axis=1), 1, atol=2e-3)
    assert not faces.embeddings[~passed].any()
    assert [crop is not None for crop in faces.crops] == passed.tolist()
