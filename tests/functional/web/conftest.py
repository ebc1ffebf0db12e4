"""An HTTP server of our own, asked by a real client."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from studio import Studio

from app.agents.nets import Nets
from app.models.arrays import Image
from app.models.catalogue import load_catalogue
from app.models.images import encode_jpeg
from app.models.pipeline import Recogniser
from app.settings import Settings
from app.tables.history import History
from app.web.live.hub import Hub
from app.web.site import mount

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


@pytest.fixture
def nets(recogniser: Recogniser, weights: Path) -> Nets:
    catalogue = load_catalogue(weights)
    return Nets(
        lambda: recogniser,
        catalogue.detector("centerface").identity,
        catalogue.embedder("faceplugin-512").identity,
    )


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[History]:
    made = History(keep=2**50)
    await made.open(tmp_path / "history.sqlite", "log")
    yield made
    await made.close()


@pytest.fixture
async def studio(still: Callable[[str], Image], recogniser: Recogniser) -> AsyncIterator[Studio]:
    """Yield a studio whose frames are a real photograph of two people, one of them enrolled."""
    photo = encode_jpeg(still("face_recognition/examples/two_people.jpg"))
    made = Studio(photo, recogniser)
    await made.enrol()
    await made.announce("door", "yard")
    yield made


@pytest.fixture
async def hub(studio: Studio) -> AsyncIterator[Hub]:
    made = studio.open()
    yield made
    await made.close()
