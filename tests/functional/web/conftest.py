"""An HTTP server of our own, asked by a real client."""

from collections.abc import AsyncIterator, Callable

import pytest
from media.stills import TWO_PEOPLE
from servers import serve
from studio import Studio

from app.models.images import Image, encode_jpeg
from app.models.pipeline import Recogniser
from app.web.live.hub import Hub

__all__ = ["serve"]


@pytest.fixture
async def studio(still: Callable[[str], Image], recogniser: Recogniser) -> AsyncIterator[Studio]:
    """Yield a studio whose frames are a real photograph of two people, one of them enrolled."""
    photo = encode_jpeg(still(TWO_PEOPLE))
    made = Studio(photo, recogniser)
    await made.enrol()
    await made.announce("door", "yard")
    yield made


@pytest.fixture
async def hub(studio: Studio) -> AsyncIterator[Hub]:
    made = studio.open()
    yield made
    await made.close()
