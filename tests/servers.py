"""An HTTP server of our own, asked by a real client."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.settings import Settings
from app.web import streaming
from app.web.site import mount

__all__ = ["Client", "Serve", "open_streams", "send_and_read_nothing", "serve"]

Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Return what mounts routes on a server, with the rules of the door, and returns a client."""
    clients: list[Client] = []

    async def start(routes: Iterable[web.AbstractRouteDef], settings: Settings | None = None) -> Client:
        server = web.Application()
        mount(server, settings or Settings(), routes)
        client = TestClient(TestServer(server, host="127.0.0.1"))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


async def send_and_read_nothing(client: Client, path: str, *headers: str) -> socket.socket:
    """Send a GET and return the socket, which takes as little as a socket can before it is read from."""
    end = socket.socket()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    end.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(end, ("127.0.0.1", client.port))
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    await loop.sock_sendall(end, "\r\n".join(lines).encode())
    return end


def open_streams(client: Client) -> int:
    """Return how many streaming responses are open."""
    return len(client.server.app[streaming._STREAMING]._tasks)
