"""A camera that speaks RTSP."""

import asyncio
import itertools
import logging
from contextlib import closing

from app.sources import SourceOptions
from app.sources.live import Backoff
from app.sources.network import NetworkSource


def _quick(url: str) -> NetworkSource:
    return NetworkSource(url, SourceOptions(), Backoff(0.05, 0.2))


async def test_pictures_come_decoded_and_upright(rtsp_camera):
    with closing(_quick(rtsp_camera.url)) as source:
        pictures = await asyncio.to_thread(lambda: list(itertools.islice(source.pictures(), 10)))
    assert {picture.image.shape for picture in pictures} == {(240, 320, 3)}
    assert all(a.captured < b.captured for a, b in itertools.pairwise(pictures))
    rises = [b.image.mean() > a.image.mean() for a, b in itertools.pairwise(pictures)]
    assert rises.count(True) >= 8, rises


async def test_a_camera_that_restarts_is_found_again(rtsp_camera, caplog):
    caplog.set_level(logging.WARNING)

    def read() -> int:
        with closing(source.pictures()) as pictures:
            next(pictures)
            rtsp_camera.drop_players()
            while not source.reconnects:
                next(pictures)
            return source.reconnects

    with closing(_quick(rtsp_camera.url)) as source:
        assert await asyncio.to_thread(read) == 1
    assert "next attempt in" in caplog.text
    assert "geheim" not in caplog.text


def test_nobody_there_is_tried_again_and_never_names_the_password(caplog, unused_tcp_port):
    source = _quick(f"rtsp://user:geheim@127.0.0.1:{unused_tcp_port}/camera?password=geheim")
    caplog.set_level(logging.WARNING)
    wait = source._closing.wait

    def close_at_third(seconds: float) -> bool:
        if len(caplog.records) == 3:
            source.close()
        return wait(seconds)

    source._closing.wait = close_at_third
    assert list(source.pictures()) == []
    assert len(caplog.records) == 3
    assert "connection refused" in caplog.text
    assert "geheim" not in caplog.text
