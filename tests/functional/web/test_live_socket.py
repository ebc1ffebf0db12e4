"""Live pictures over one WebSocket: what is asked for comes, and nothing else."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import WSMsgType
from machine import SLOWNESS, patience
from servers import open_streams, send_and_read_nothing
from studio import Studio, until

from app.models.images import decode_jpeg
from app.web import streaming
from app.web.live import socket as module
from app.web.live.hub import Hub
from app.web.live.render import View
from app.web.live.socket import LiveSocket


@pytest.fixture
async def client(studio: Studio, hub: Hub, serve: Any) -> Any:
    return await serve(LiveSocket(studio.streams, hub).routes())


async def picture(socket: Any) -> dict[str, Any]:
    """Return the header of the next picture, which is one."""
    data = await socket.receive_bytes(timeout=20 * SLOWNESS)
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
        assert await socket.receive_json(timeout=20 * SLOWNESS) == {"error": reason}
        await socket.send_json({"watch": ["door"]})
        await studio.show("door")
        assert (await picture(socket))["stream"] == "door"


async def test_streams_that_are_there_are_shown_beside_one_that_is_not(client: Any, studio: Studio) -> None:
    async with client.ws_connect("/live") as socket:
        await socket.send_json({"watch": ["attic", "door"]})
        assert await socket.receive_json(timeout=20 * SLOWNESS) == {"error": "no-such-stream"}
        await studio.show("door")
        assert (await picture(socket))["stream"] == "door"


async def test_a_wish_that_is_too_long_ends_the_connection(client: Any) -> None:
    async with client.ws_connect("/live") as socket:
        await socket.send_str(" " * 20_000)
        assert (await socket.receive(timeout=20 * SLOWNESS)).type is WSMsgType.CLOSE


async def test_what_nobody_foresaw_closes_the_socket_so_that_the_page_comes_again(
    client: Any, studio: Studio, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(view: View) -> dict[str, Any]:
        raise ZeroDivisionError("the header gave up")

    monkeypatch.setattr(View, "header", broken)
    async with client.ws_connect("/live") as socket:
        await socket.send_json({"watch": ["door"]})
        await studio.show("door")
        assert (await socket.receive(timeout=20 * SLOWNESS)).type is WSMsgType.CLOSE
    assert "the header gave up" in caplog.text
    await until(lambda: viewers(studio, "door") == 0)


async def test_a_stream_that_ends_closes_the_socket(client: Any, studio: Studio, hub: Hub) -> None:
    async with client.ws_connect("/live") as socket:
        await socket.send_json({"watch": ["door"]})
        await until(lambda: studio.readers == ["door"])
        (channel,) = hub._channels.values()
        assert channel.task is not None
        channel.task.cancel()
        assert (await socket.receive(timeout=20 * SLOWNESS)).type is WSMsgType.CLOSE


async def test_a_page_that_goes_away_is_let_go_of(client: Any, studio: Studio) -> None:
    async with client.ws_connect("/live") as socket:
        await socket.send_json({"watch": ["door", "yard"]})
        await until(lambda: viewers(studio, "door") == 1)
    await until(lambda: viewers(studio, "door") + viewers(studio, "yard") == 0)


HANDSHAKE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip


def frame(text: str) -> bytes:
    """Return a wish as a client's frame, masked with zeros."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text.encode()


@pytest.mark.parametrize("wish", ['{"watch": ["door"]}', "no JSON"], ids=["pictures", "complaints"])
async def test_a_page_that_reads_nothing_is_cut_off_though_it_goes_on_asking(
    client: Any, studio: Studio, monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    monkeypatch.setattr(streaming, "_SLOWEST", 0.2)
    end = await send_and_read_nothing(client, "/live", *HANDSHAKE)
    await until(lambda: open_streams(client) == 1)
    async with patience(20):
        with suppress(ConnectionError):
            while open_streams(client):
                await asyncio.get_running_loop().sock_sendall(end, frame(wish) * 5000)
                await studio.show("door")
                await asyncio.sleep(0.02)
    await until(lambda: open_streams(client) == 0 and viewers(studio, "door") == 0)
    end.close()
    await until(lambda: not client.server.handler.connections)


async def test_a_page_that_answers_no_ping_is_let_go_of_at_once(
    client: Any, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has not accepted by then is not waited for."""
    monkeypatch.setattr(module, "_HEARTBEAT", 2.0)
    end = await send_and_read_nothing(client, "/live", *HANDSHAKE)
    await asyncio.get_running_loop().sock_sendall(end, frame('{"watch": ["door"]}'))
    await until(lambda: viewers(studio, "door") == 1)
    async with patience(20):
        while client.server.handler.connections:
            await studio.show("door")
            await asyncio.sleep(0.02)
    assert open_streams(client) == 0
    end.close()
