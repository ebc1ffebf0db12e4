"""An HTTP server of our own, asked by a real client."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.settings import Settings
from app.web.site import mount

__all__ = ["Client", "Serve", "serve"]

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
