"""A camera on the network: a small RTSP server, fed by FFmpeg, that relays to whoever plays it."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from machine import SLOWNESS


class RtspRelay:
    """Takes what one publisher records and sends it to every player (RFC 2326, interleaved in TCP)."""

    def __init__(self) -> None:
        self.url = ""
        self.played: list[str] = []
        self._sdp = b""
        self._players: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "RtspRelay":
        self._thread.start()
        self._ready.wait(10 * SLOWNESS)
        address = self.url.replace("user:geheim@", "")
        script = Path(__file__).with_name("rtsp_publisher.py")
        self._publisher = subprocess.Popen([sys.executable, str(script), address])
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.kill()
        self._publisher.wait()
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()
        self._loop.close()

    def drop_players(self) -> None:
        """Cut every player's connection, as a camera that restarts does."""

        async def drop() -> None:
            for writer in self._players:
                writer.transport.abort()
            self._players.clear()

        asyncio.run_coroutine_threadsafe(drop(), self._loop).result(5)

    def _serve(self) -> None:
        async def serve() -> None:
            self._ending = asyncio.Event()
            server = await asyncio.start_server(self._client, "127.0.0.1", 0)
            self.url = f"rtsp://user:geheim@127.0.0.1:{server.sockets[0].getsockname()[1]}/camera"
            self._ready.set()
            await self._ending.wait()
            server.close()
            for writer in self._clients:
                writer.transport.abort()
            await asyncio.sleep(0.05)

        self._loop.run_until_complete(serve())

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                first = await reader.readexactly(1)
                if first == b"$":
                    head = await reader.readexactly(3)
                    packet = first + head + await reader.readexactly(int.from_bytes(head[1:]))
                    for player in self._players - {writer}:
                        player.write(packet)
                else:
                    await self._answer(first + await reader.readuntil(b"\r\n\r\n"), reader, writer)
        self._players.discard(writer)
        self._clients.discard(writer)
        writer.close()

    async def _answer(
        self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        line, *rest = request.decode().split("\r\n")
        method = line.split()[0]
        headers = {name.lower(): value for name, _, value in (entry.partition(": ") for entry in rest)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        extra, content = "Session: 1\r\n", b""
        if method == "ANNOUNCE":
            self._sdp = body
        elif method == "DESCRIBE":
            content = self._sdp
            extra += f"Content-Type: application/sdp\r\nContent-Length: {len(content)}\r\n"
        elif method == "SETUP":
            extra += f"Transport: {headers['transport']}\r\n"
        writer.write(f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{extra}\r\n".encode() + content)
        if method == "PLAY":
            self.played.append(headers.get("authorization", ""))
            self._players.add(writer)


@pytest.fixture
def rtsp_camera() -> Iterator[RtspRelay]:
    """Return a running RTSP camera."""
    with RtspRelay() as relay:
        yield relay
