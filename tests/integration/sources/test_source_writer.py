"""Sources written to a real Kafka."""

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import psutil
import pytest
from machine import SLOWNESS, patience

from app.kafka.admin import TopicError
from app.settings import Settings
from app.sources import (
    JpegOptions,
    Picture,
    Source,
    SourceError,
    SourceOptions,
    Summary,
    open_source,
    run_source,
)

MAX = SourceOptions(fps=math.inf)


class _Camera(Source):
    """A live source of 100 pictures a second."""

    live = True
    jpeg = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()

    def pictures(self):
        for number in itertools.count():
            if self._closing.wait(0.01):
                return
            yield Picture(self.jpeg, number * 10, int(time.time() * 1000))


async def _until(condition: Callable[[], bool], running: asyncio.Task[Summary]) -> None:
    async with patience(30):
        while not condition():
            if running.done():
                pytest.fail(f"ended early: {running.result().line()}")
            await asyncio.sleep(0.005)


@contextmanager
def _suspended(broker) -> Iterator[None]:
    """Halt Kafka's process, as a machine that hangs would."""
    children = psutil.Process().children(recursive=True)
    kafka = next(child for child in children if broker.port in _ports(child))
    kafka.suspend()
    try:
        yield
    finally:
        kafka.resume()


def _ports(process: psutil.Process) -> set[int]:
    return {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}


async def test_a_file_arrives_complete_and_in_order(settings, read_frames, clip):
    summary = await run_source(settings, open_source(str(clip), MAX, settings), "hamilton")
    frames = await read_frames(settings)
    assert summary.sent == len(frames) == 275
    assert summary.bytes == sum(len(frame.jpeg) for frame in frames)
    assert [frame.seq for frame in frames] == list(range(275))
    assert {(f.stream, f.width, f.height, f.live) for f in frames} == {("hamilton", 640, 360, False)}
    assert all(a.captured < b.captured and a.pts < b.pts for a, b in itertools.pairwise(frames))
    assert frames[0].pts == 0
    assert frames[-1].pts == pytest.approx(274 / 29.97 * 1000, abs=60)
    assert frames[-1].captured - frames[0].captured == pytest.approx(frames[-1].pts, abs=2)
    image = cv2.imdecode(np.frombuffer(frames[100].jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (360, 640, 3) and image.std() > 10
    assert not summary.losses()


async def test_a_size_is_scaled_to(settings, read_frames, clip):
    await run_source(settings, open_source(str(clip), MAX, settings), "small", JpegOptions(80, (320, 180)))
    frames = await read_frames(settings)
    assert {(frame.width, frame.height) for frame in frames} == {(320, 180)}


async def test_a_loop_goes_on_until_it_is_stopped(settings, read_frames, clip):
    source = open_source(str(clip), SourceOptions(fps=math.inf, loop=True), settings)
    stop, summary = asyncio.Event(), Summary(source, "again")
    running = asyncio.create_task(run_source(settings, source, "again", summary=summary, stop=stop))
    await _until(lambda: summary.sent >= 300, running)
    stop.set()
    assert await running is summary
    frames = await read_frames(settings)
    assert len(frames) == summary.sent
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    assert all(a.captured < b.captured and a.pts < b.pts for a, b in itertools.pairwise(frames))


async def test_a_folder_keeps_its_jpegs_and_reports_the_rest(settings, read_frames, tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.jpg"), picture)
    (tmp_path / "b.jpg").write_bytes(b"no image")
    cv2.imwrite(str(tmp_path / "c.png"), picture)
    summary = await run_source(settings, open_source(str(tmp_path), MAX, settings), "folder")
    first, second = await read_frames(settings)
    assert first.jpeg == (tmp_path / "a.jpg").read_bytes()
    assert (second.width, second.height, second.seq, second.pts) == (80, 60, 1, 1000)
    assert summary.skipped == {"not-an-image": 1}
    assert "2 frames" in summary.line() and "not-an-image 1" in summary.line()


async def test_a_live_source_skips_while_the_broker_is_away_and_goes_on(
    settings, broker, read_frames, caplog
):
    caplog.set_level("INFO", "app.sources")
    source, stop = _Camera("camera", SourceOptions()), asyncio.Event()
    summary = Summary(source, "camera")
    running = asyncio.create_task(run_source(settings, source, "camera", summary=summary, stop=stop))
    await _until(lambda: summary.sent >= 50, running)
    with _suspended(broker):
        await _until(lambda: summary.skipped["newer-frame"] >= 400, running)
        assert 0 < summary.pending <= 4
        before = summary.sent
    await _until(lambda: summary.sent >= before + 50, running)
    stop.set()
    await running
    assert not summary.errors
    frames = await read_frames(settings, live=True)
    assert len(frames) == summary.sent
    assert all(frame.live for frame in frames)
    assert all(a.seq < b.seq for a, b in itertools.pairwise(frames))
    assert frames[-1].seq + 1 - len(frames) <= summary.skipped["newer-frame"]
    assert "does not answer" in caplog.text and "answers again" in caplog.text


async def test_a_file_waits_for_a_broker_that_is_away(settings, broker, read_frames, clip, caplog):
    source = open_source(str(clip), MAX, settings)
    summary = Summary(source, "patient")
    running = asyncio.create_task(run_source(settings, source, "patient", summary=summary))
    await _until(lambda: summary.sent >= 20, running)
    with _suspended(broker):
        # By then nothing has been acknowledged for seconds.
        await _until(lambda: "does not answer" in caplog.text, running)
        assert summary.sent + summary.pending < 275
    await running
    assert [frame.seq for frame in await read_frames(settings)] == list(range(275))


async def test_a_stop_while_the_broker_is_away_ends_soon_and_says_what_was_lost(settings, broker):
    source, stop = _Camera("camera", SourceOptions()), asyncio.Event()
    summary = Summary(source, "camera")
    running = asyncio.create_task(run_source(settings, source, "camera", summary=summary, stop=stop))
    await _until(lambda: summary.sent >= 10, running)
    with _suspended(broker):
        await _until(lambda: summary.skipped["newer-frame"] >= 50, running)
        asked = time.monotonic()
        stop.set()
        await running
        assert time.monotonic() - asked < 6 * SLOWNESS
    assert summary.errors.total() > 0
    assert "errors" in summary.line()


async def test_other_partitions_are_an_error(settings, clip):
    await run_source(settings, open_source(str(clip), MAX, settings), "first")
    other = Settings(broker=settings.broker, topic_prefix=settings.topic_prefix, partitions=3)
    with pytest.raises(TopicError, match="partitions"):
        await run_source(other, open_source(str(clip), MAX, other), "second")


async def test_a_source_without_a_picture_is_an_error(settings, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(SourceError, match="no image that can be read"):
        await run_source(settings, open_source(str(tmp_path), MAX, settings), "empty")
