"""Live pictures over one WebSocket: what is asked for comes, and nothing else."""

import json
from typing import Any

import pytest
from aiohttp import WSMsgType
from studio import Studio, until

from app.models.images import decode_jpeg
from app.web.live.hub import Hub
from app.web.live.socket import LiveSocket
from app.web.live.view import View


@pytest.fixture
async def client(studio: Studio, hub: Hub, serve: Any) -> Any:
    return await serve(LiveSocket(studio.streams, hub).routes())


async def picture(socket: Any) -> dict[str, Any]:
    """Return the header of the next picture, which is one."""
    data = await socket.receive_bytes(timeout=20)
    length = int.from_bytes(data[:2], "big")
    assert decode_jpeg(data[2 + length :]).ndim == 3
    header: dict[str, Any] = json.loads(data[2 : 2 + length])
    return header


def viewers(studio: Studio, stream: str) -> float:
    return studio.metrics.registry.get_sample_value("onlooker_viewers", {"stream": stream}) or 0


async def test_pictures_of_every_stream_that_is_watched(client: Any, studio: Studio) -> None:
    async with client.ws_connect("/live") as socket:
        await socket.send_json({"watch": ["door", "yard"]})
        offsets = {name: await studio.show(name) for name in ("door", "yard")}
        headers = [await picture(socket) for _ in range(2)]
    assert {header["stream"]: header["offset"] for header in headers} == offsets
    names = [sorted(face["name"] or "" for face in header["faces"]) for header in headers]
    assert names == [["", "Ada"]] * 2


async def test_a_wish_replaces_the_one_before(client: Any, studio: Studio) -> None:
    async with client.ws_connect("/live") as socket:
        await socket.send_json({"watch": ["door"]})
        await studio.show("door")
        assert (await picture(socket))["stream"] == "door"
        await socket.send_json({"watch": ["yard"]})
        await until(lambda: (viewers(studio, "door"), viewers(studio, "yard")) == (0, 1))
        await studio.show("door")
        await studio.show("yard")
        assert (await picture(socket))["stream"] == "yard"
    await until(lambda: viewers(studio, "yard") == 0)


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ("no JSON", "bad-request"), ("[]", "bad-request"), ('{"watch": "door"}', "bad-request"),
        ('{"watch": [1]}', "bad-request"), ("[" * 10_000, "bad-request"), ("{}", "bad-request"),
        (json.dumps({"watch": ["door"] * 65}), "too-many-streams"),
        ('{"watch": ["attic"]}', "no-such-stream"),
    ],
)  # fmt: skip
async def test_a_wish_that_cannot_be_granted(client: Any, studio: Studio, wish: str, reason: str) -> None:
    async with client.ws_connect("/live") as socket:
        await socket.send_str(wish)
        assert await socket.receive_json(timeout=20) == {"error": reason}
        await socket.send_json({"watch": ["door"]})
        await studio.show("door")
        assert (await picture(socket))["stream"] == "door"


async def test_streams_that_are_there_are_shown_beside_one_that_is_not(client: Any, studio: Studio) -> None:
    async with client.ws_connect("/live") as socket:
        await socket.send_json({"watch": ["attic", "door"]})
        assert await socket.receive_json(timeout=20) == {"error": "no-such-stream"}
        await studio.show("door")
        assert (await picture(socket))["stream"] == "door"


async def test_a_wish_that_is_too_long_ends_the_connection(client: Any) -> None:
    async with client.ws_connect("/live") as socket:
        await socket.send_str(" " * 20_000)
        assert (await socket.receive(timeout=20)).type is WSMsgType.CLOSE


async def test_what_nobody_foresaw_closes_the_socket_so_that_the_page_comes_again(
    client: Any, studio: Studio, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(view: View) -> dict[str, Any]:
        raise ZeroDivisionError("the header gave up")

    monkeypatch.setattr(View, "header", broken)
    async with client.ws_connect("/live") as socket:
        await socket.send_json({"watch": ["door"]})
        await studio.show("door")
        assert (await socket.receive(timeout=20)).type is WSMsgType.CLOSE
    assert "the header gave up" in caplog.text
    await until(lambda: viewers(studio, "door") == 0)


async def test_a_stream_that_ends_closes_the_socket(client: Any, studio: Studio, hub: Hub) -> None:
    async with client.ws_connect("/live") as socket:
        await socket.send_json({"watch": ["door"]})
        await until(lambda: studio.readers == ["door"])
        (channel,) = hub._channels.values()
        assert channel.task is not None
        channel.task.cancel()
        assert (await socket.receive(timeout=20)).type is WSMsgType.CLOSE


async def test_a_page_that_goes_away_is_let_go_of(client: Any, studio: Studio) -> None:
    async with client.ws_connect("/live") as socket:
        await socket.send_json({"watch": ["door", "yard"]})
        await until(lambda: viewers(studio, "door") == 1)
    await until(lambda: viewers(studio, "door") + viewers(studio, "yard") == 0)
