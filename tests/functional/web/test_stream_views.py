"""The streams over HTTP: as a list, one picture, and pictures without end."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import av
import pytest
from machine import SLOWNESS, patience
from makers import make_status
from servers import open_streams, send_and_read_nothing
from studio import Studio, until

from app.models.images import decode_jpeg
from app.web import streaming
from app.web import streams as module
from app.web.live.hub import Hub
from app.web.streams import StreamViews


@pytest.fixture
async def client(studio: Studio, hub: Hub, serve: Any) -> Any:
    return await serve(StreamViews(studio.streams, studio.gallery, hub).routes())


@pytest.fixture
async def filming(studio: Studio) -> AsyncIterator[None]:
    """Show frame after frame for as long as the test runs."""

    async def film() -> None:
        while True:
            await studio.show("door")
            await asyncio.sleep(0.02)

    task = asyncio.create_task(film())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def part(response: Any) -> bytes:
    """Read one part of the answer; the picture is empty where the server only says that it is there."""
    async with patience(20):
        while (line := await response.content.readline()) == b"\r\n":
            pass
        assert line == b"--frame\r\n"
        headers = {}
        while (line := await response.content.readline()) != b"\r\n":
            name, _, value = line.decode().partition(": ")
            headers[name] = value.strip()
        jpeg: bytes = await response.content.readexactly(int(headers["Content-Length"]))
        return jpeg


async def test_streams_are_listed_by_name(client: Any, studio: Studio) -> None:
    listed = (await (await client.get("/streams")).json())["streams"]
    assert [stream["name"] for stream in listed] == ["door", "yard"]
    assert listed[0]["mjpeg"] == "/streams/door.mjpeg"


@pytest.mark.parametrize(
    ("ago", "came", "told", "said"),
    [
        (0.1, 0.1, {"skipping": 1.0}, {"state": "live", "fps": 4.0, "waiting": 2, "skipping": 1.0}),
        (0.1, 0.1, {"skipping": 9.0}, {"state": "overloaded", "fps": 4.0, "waiting": 2, "skipping": 9.0}),
        (8, 0.1, {"skipping": 9.0}, {"state": "overloaded", "fps": 0.0, "waiting": 2, "skipping": 9.0}),
        (60, 60, {"skipping": 9.0}, {"state": "waiting", "fps": 0.0, "waiting": 2, "skipping": 0.0}),
        (90, 60, {"waiting": 0}, {"state": "silent", "fps": 0.0, "waiting": 0, "skipping": 0.0}),
    ],
    ids=["live", "overloaded", "overloaded and still", "waiting", "silent"],
)
async def test_a_stream_says_how_it_is(
    client: Any, studio: Studio, ago: float, came: float, told: dict[str, Any], said: dict[str, Any]
) -> None:
    """It was recognised so many seconds ago, and frames of it came then."""
    now = time.time()
    fields = {"stream": "gate", "fps": 4.0, "waiting": 2, "skipping": 0.0} | told
    status = make_status(updated=int((now - ago) * 1000), arrived=int((now - came) * 1000), **fields)
    await studio.announce(status)
    (_, listed, _) = (await (await client.get("/streams")).json())["streams"]
    assert {name: listed[name] for name in said} == said
    assert (listed["arrived"], listed["updated"]) == (status.arrived, status.updated)
    assert listed["silent_for"] == (pytest.approx(60, abs=15) if said["state"] == "silent" else 0)


async def test_the_newest_picture(client: Any, studio: Studio) -> None:
    await studio.show("door")
    response = await client.get("/streams/door.jpg")
    assert (response.status, response.content_type) == (200, "image/jpeg")
    assert decode_jpeg(await response.read()).ndim == 3


async def test_no_picture_yet(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    response = await client.get("/streams/door.jpg")
    assert (response.status, (await response.json())["reason"]) == (404, "no-frame-yet")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/streams/attic.jpg", "no-such-stream"), ("/streams/attic.mjpeg", "no-such-stream"),
        ("/streams/door.mjpeg?person=eve", "no-such-person"),
    ],
)  # fmt: skip
async def test_who_or_what_is_not_there(client: Any, path: str, reason: str) -> None:
    response = await client.get(path)
    assert (response.status, (await response.json())["reason"]) == (404, reason)


async def test_pictures_come_one_after_the_other(client: Any, studio: Studio) -> None:
    response = await client.get("/streams/door.mjpeg")
    for _ in range(3):
        await studio.show("door")
        assert decode_jpeg(await part(response)).ndim == 3
    response.close()


async def test_only_frames_with_the_person_are_sent(client: Any, studio: Studio) -> None:
    response = await client.get("/streams/door.mjpeg", params={"person": "ada"})
    await studio.show("door", people=False)
    await until(lambda: studio.rendered() == 1)
    await studio.show("door")
    await part(response)
    assert studio.rendered() == 2
    response.close()


async def test_a_viewer_who_waits_for_somebody_and_goes_away_is_noticed(
    client: Any, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PROOF_OF_LIFE", 0.02)
    response = await client.get("/streams/door.mjpeg", params={"person": "ada"})
    assert await response.content.readexactly(2) == b"\r\n"
    viewers = studio.metrics.viewers.labels("door")
    assert viewers._value.get() == 1
    response.close()
    await until(lambda: viewers._value.get() == 0)


async def test_a_viewer_who_reads_nothing_is_let_go_of(
    client: Any, studio: Studio, filming: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_SLOWEST", 0.2)
    end = await send_and_read_nothing(client, "/streams/door.mjpeg")
    viewers = studio.metrics.viewers.labels("door")
    await until(lambda: viewers._value.get() == 1)
    await until(lambda: viewers._value.get() == 0)
    assert open_streams(client) == 0
    end.close()


async def test_what_ffmpeg_makes_of_it(client: Any, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A player reads on over what is sent while nobody has come yet."""
    monkeypatch.setattr(module, "_PROOF_OF_LIFE", 0.05)
    url = str(client.make_url("/streams/door.mjpeg?person=ada"))

    def watch() -> list[tuple[int, int]]:
        with av.open(url, format="mpjpeg", timeout=20 * SLOWNESS) as container:
            frames = container.decode(video=0)
            return [(frame.width, frame.height) for frame, _ in zip(frames, range(3), strict=False)]

    watching = asyncio.create_task(asyncio.to_thread(watch))
    await until(lambda: studio.metrics.viewers.labels("door")._value.get() == 1)
    # For a few of what proves that the connection lives.
    await asyncio.sleep(4 * module._PROOF_OF_LIFE)
    while not watching.done():
        await studio.show("door")
        await asyncio.sleep(0.05)
    sizes = await watching
    height, width = decode_jpeg(studio.jpeg).shape[:2]
    scale = min(1.0, studio.settings.view_side / max(height, width))
    assert sizes == [(round(width * scale), round(height * scale))] * 3
