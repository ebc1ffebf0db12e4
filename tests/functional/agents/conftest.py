"""What the agents' tests are given."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import faust
import numpy as np
import pytest
from makers import EMBEDDER, axis, make_person
from workbench import EVERY_FACE, Bench, Changelog, MakeBench, Patient, Stage

from app.agents import identify
from app.models.images import encode_jpeg
from app.models.pipeline import Nets, Recogniser
from app.settings import Settings
from app.tables.gallery import Gallery
from app.tables.identities import AwaitedTable
from app.tracking import TrackletRules


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    app = faust.App(
        "agents", broker="kafka://127.0.0.1:9", store="memory://", datadir=tmp_path,
        key_serializer="raw", value_serializer="raw", GlobalTable=AwaitedTable,
    )  # fmt: skip
    yield Stage(app)
    # Some of Faust's own asks for the consumer, whose thread is never started: only its loop is to be closed.
    app.consumer._thread.thread_loop.close()


@pytest.fixture
def changelog(stage: Stage) -> Changelog:
    """Return what takes the changes of the stage's tables."""
    made: Any = Changelog()
    stage.app.producer = made
    return made


@pytest.fixture
def patient() -> Iterator[Patient]:
    made = Patient()
    yield made
    made.let_go()


@pytest.fixture
def make_bench(stage: Stage, nets: Nets) -> MakeBench:
    """Return what makes a bench, on nets of its own where they are given."""

    def make(other: Recogniser | None = None, tracklets: TrackletRules = EVERY_FACE, **more: Any) -> Bench:
        used = nets if other is None else Nets(lambda: other, "finder@01234567", EMBEDDER)
        return Bench(stage, used, Settings(**{"in_flight": 3} | more), tracklets)

    return make


@pytest.fixture(scope="session")
def photo(still: Callable[[str], Any]) -> Callable[[str], bytes]:
    """Return what reads a real photograph as the JPEG of a frame, 640 pixels at its longer side."""

    def read(name: str) -> bytes:
        image = still(name)
        scale = 640 / max(image.shape[:2])
        return encode_jpeg(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))

    return read


@pytest.fixture(scope="session")
def plain() -> Callable[[int], bytes]:
    """Return what makes a JPEG of so many pixels in width."""
    return lambda width: encode_jpeg(np.full((16, width, 3), 90, np.uint8))


@pytest.fixture
async def gallery() -> Gallery:
    made = Gallery(EMBEDDER, threshold=0.4, margin=0.05)
    await made.load([make_person("ada", axis(0)), make_person("bob", axis(1))])
    return made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return settings with which a stream is silent at once."""
    monkeypatch.setattr(identify, "_LEAST_SILENCE", 0.0)
    return {"sighting_gap": 0.001}
