"""Cameras and videos served over HTTP."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from aiohttp import encode_basic_auth, web
from machine import SLOWNESS

from app.sources import SourceError, SourceOptions
from app.sources.live import Backoff
from app.sources.network import NetworkSource

PART = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"


class Camera:
    """Sends its JPEGs over and over; hangs up after `lasts` of them, and every connection is counted."""

    def __init__(self, video: Path = Path(), lasts: int = 10_000) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (8, 120, 160, 3), np.uint8)
        self.jpegs = [cv2.imencode(".jpg", image)[1].tobytes() for image in noise]
        self.connections = 0
        self._video = video
        self._lasts = lasts
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> "Camera":
        self._thread.start()
        self._ready.wait(10 * SLOWNESS)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    def url(self, path: str) -> str:
        return f"http://user:geheim@127.0.0.1:{self.port}/{path}"

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        app = web.Application()
        app.router.add_get("/mjpeg", self._mjpeg)
        app.router.add_get("/video.mp4", self._file)
        app.router.add_get("/away", self._elsewhere)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    async def _mjpeg(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != encode_basic_auth("user", "geheim"):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="camera"'})
        self.connections += 1
        response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        await response.prepare(request)
        for number in range(self._lasts):
            if self._end.is_set():
                break
            jpeg = self.jpegs[number % len(self.jpegs)]
            try:
                await response.write(PART % (len(jpeg), jpeg))
            except ConnectionError:
                break
            await asyncio.sleep(0.01)
        return response

    async def _file(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self._video)

    async def _elsewhere(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("file:///etc/hostname")


@pytest.fixture
def camera() -> Iterator[Camera]:
    with Camera() as camera:
        yield camera


def _source(url: str, **options: object) -> NetworkSource:
    return NetworkSource(url, SourceOptions(**options), Backoff(0.05, 0.2))


def _take(source: NetworkSource, count: int) -> list:
    too_long = threading.Timer(20, source.close)
    too_long.start()
    with closing(source.pictures()) as pictures:
        taken = list(itertools.islice(pictures, count))
    too_long.cancel()
    return taken


def test_jpegs_pass_through_unchanged_from_a_camera_that_asks_for_a_password(camera):
    pictures = _take(_source(camera.url("mjpeg")), 20)
    assert [picture.image for picture in pictures] == [camera.jpegs[i % 8] for i in range(20)]
    assert all(a.captured < b.captured and a.pts <= b.pts for a, b in itertools.pairwise(pictures))
    assert abs(pictures[-1].captured / 1000 - time.time()) < 5


def test_a_dropped_connection_is_made_again():
    with Camera(lasts=10) as camera:
        source = _source(camera.url("mjpeg"))
        pictures = _take(source, 25)
        assert {picture.image for picture in pictures} <= set(camera.jpegs)
    assert len(pictures) == 25
    assert camera.connections == 3
    assert source.reconnects == 2


def test_no_more_pictures_a_second_than_asked_for(camera):
    source = _source(camera.url("mjpeg"), fps=10)
    pictures = _take(source, 6)
    assert 400 <= pictures[-1].captured - pictures[0].captured <= 2000
    assert source.skipped["above-fps"] > 10


def test_a_video_on_a_web_server_keeps_its_pace(clip):
    with Camera(clip) as camera:
        pictures = _take(_source(camera.url("video.mp4")), 31)
    assert 800 <= pictures[-1].captured - pictures[0].captured <= 3000
    assert pictures[0].image.shape == (360, 640, 3)


def test_a_redirection_to_a_file_is_not_followed(camera, caplog):
    source = _source(camera.url("away"))
    threading.Timer(0.5, source.close).start()
    assert list(source.pictures()) == []
    assert "next attempt" in caplog.text
    assert "geheim" not in caplog.text


def test_a_camera_that_falls_silent_is_noticed(caplog):
    with Camera() as camera:
        source = _source(camera.url("mjpeg"))
        source.timeout = (2.0, 0.3)
        with closing(source.pictures()) as pictures:
            next(pictures)
            camera._loop.call_soon_threadsafe(time.sleep, 1.5)
            while not source.reconnects:
                next(pictures)
    assert "next attempt in" in caplog.text


@pytest.mark.parametrize("url", ["http://", "ftp://camera/1", "concat://a", "http:///nohost", "http://[bad"])
def test_other_addresses_are_refused(url):
    with pytest.raises(SourceError, match="no address of a camera"):
        NetworkSource(url, SourceOptions())
