"""A Faust application without a broker, and the real parts that the agents are made of."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import cv2
import faust
import pytest
from makers import KeptDelivery

from app.kafka.dead_letters import DeadLetters
from app.metrics import Metrics
from app.models.images import encode_jpeg
from app.settings import Settings
from app.topics import Topics


class Stage:
    """What an agent stands on: a Faust application in memory, and an delivery that keeps all."""

    def __init__(self, app: faust.App) -> None:
        self.app = app
        self.settings = Settings(in_flight=3)
        self.topics = Topics(self.settings)
        self.metrics = Metrics()
        self.delivery = KeptDelivery()
        self.dead_letters = DeadLetters(self.delivery, self.topics, self.metrics)

    def agent(self, topic: str, run: Callable[..., Any]) -> Any:
        """Return the context in which an agent is fed by hand."""
        channel = self.app.topic(topic, key_type=bytes, value_type=bytes)
        agent = self.app.agent(channel, name=topic)(run)
        self.app.finalize()
        self.app.conf.store = "memory://"
        self.app.flow_control.resume()
        return agent.test_context()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    app = faust.App(
        "agents", broker="kafka://127.0.0.1:9", store="memory://", datadir=tmp_path,
        key_serializer="raw", value_serializer="raw",
    )  # fmt: skip
    yield Stage(app)
    # Acknowledging makes a consumer, whose thread is never started: only its loop is there to be closed.
    app.consumer._thread.thread_loop.close()


@pytest.fixture(scope="session")
def photo(still: Callable[[str], Any]) -> Callable[[str], bytes]:
    """Return what reads a real photograph as the JPEG of a frame, 640 pixels at its longer side."""

    def read(name: str) -> bytes:
        image = still(name)
        scale = 640 / max(image.shape[:2])
        return encode_jpeg(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))

    return read
