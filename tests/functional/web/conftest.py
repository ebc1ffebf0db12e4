"""An HTTP server of our own, asked by a real client."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from servers import serve
from studio import Studio

from app.agents.nets import Nets
from app.models.arrays import Image
from app.models.catalogue import load_catalogue
from app.models.images import encode_jpeg
from app.models.pipeline import Recogniser
from app.tables.history import History
from app.web.live.hub import Hub

__all__ = ["serve"]


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
