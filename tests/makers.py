"""Messages for tests, whole and valid, and an delivery that keeps what it is given."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.kafka.delivery import Position
from app.messages import Enrolment, Faces, Frame, Person, Sighting, StreamStatus, Template
from app.models.gate import Gate
from app.topics import TopicSpec

EMBEDDER = "net@01234567"
DIMENSION = 8
#: Of the default embedder.
THRESHOLD = 0.49
#: Capture time of the first frame, milliseconds since the epoch.
START = 1_700_000_000_000


def axis(number: int, toward: int | None = None, similarity: float = 1.0) -> NDArray[np.float32]:
    """Return a unit vector with this similarity to axis `number`, the rest of it along another axis."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[number] = similarity
    if toward is not None:
        vector[toward] = np.sqrt(1 - similarity**2)
    return vector


def make_frame(jpeg: bytes, **more: Any) -> Frame:
    fields = {
        "stream": "door", "seq": 0, "captured": START, "pts": 0, "width": 64, "height": 48, "live": False,
    }  # fmt: skip
    return Frame(jpeg=jpeg, **(fields | more))


def make_faces(embeddings: Sequence[NDArray[np.floating]] = (), **more: Any) -> Faces:
    count = len(embeddings)
    left = np.arange(count, dtype=np.float32) * 50
    boxes = np.stack([left, left * 0, left + 40, left * 0 + 48], axis=1).reshape(count, 4)
    fields = {
        "stream": "door", "partition": 0, "offset": 0, "seq": 0, "captured": START,
        "width": 640, "height": 480, "live": False, "detector": "finder@01234567", "embedder": EMBEDDER,
        "boxes": boxes.astype(np.float32),
        "landmarks": np.zeros((count, 5, 2), np.float32),
        "scores": np.full(count, 0.9, np.float32),
        "gates": np.full(count, Gate.PASSED, np.uint8),
        "embeddings": np.array(embeddings, np.float16).reshape(count, -1 if count else DIMENSION),
        "crops": [None] * count,
    }  # fmt: skip
    return Faces(**(fields | more))


def make_sighting(**more: Any) -> Sighting:
    fields = {
        "id": "a" * 24, "stream": "door", "person": "ada", "name": "Ada",
        "first": START, "last": START + 1000, "frames": 10, "offset": 0, "score": 0.8,
        "crop": b"", "crop_score": -1.0, "open": True,
    }  # fmt: skip
    return Sighting(**(fields | more))


def make_template(embedding: NDArray[np.floating], **more: Any) -> Template:
    fields = {
        "id": "t", "embedding": np.asarray(embedding, np.float32), "embedder": EMBEDDER,
        "width": 100, "height": 120, "score": 0.9, "crop": b"\xff\xd8\xff crop",
    }  # fmt: skip
    return Template(**(fields | more))


def make_person(person: str, *embeddings: NDArray[np.floating], **more: Any) -> Person:
    templates = [make_template(row, id=f"{person}-{number}") for number, row in enumerate(embeddings)]
    fields = {
        "name": person.title(), "created": START, "updated": START, "revision": f"{person}-first",
        "templates": templates,
    }  # fmt: skip
    return Person(id=person, **(fields | more))


def make_enrolment(person: str, *embeddings: NDArray[np.floating], **more: Any) -> Enrolment:
    templates = [make_template(row, id=f"{person}-{number}") for number, row in enumerate(embeddings)]
    fields = {
        "id": f"{person}-wish", "action": "add", "name": person.title(), "at": START, "templates": templates,
    }  # fmt: skip
    return Enrolment(person=person, **(fields | more))


def make_status(**more: Any) -> StreamStatus:
    fields = {
        "stream": "door", "partition": 0, "frame_offset": 5, "faces_offset": 5, "worker": "here:6066",
        "updated": START, "captured": START, "fps": 10.0, "age": 0.1, "width": 640, "height": 480,
        "live": True, "faces": 1, "frames": 100, "skipped": {"too-old": 2},
    }  # fmt: skip
    return StreamStatus(**(fields | more))


class Delivered(NamedTuple):
    """A message that was put into the delivery."""

    key: bytes | None
    value: bytes
    partition: int | None


class KeptDelivery:
    """The far end of an agent: keeps every message, in order, by topic."""

    def __init__(self) -> None:
        self._messages: dict[str, list[Delivered]] = {}
        self._changed = asyncio.Condition()
        #: Clear it, and nothing is delivered until it is set again.
        self.open = asyncio.Event()
        self.open.set()

    async def send(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> Position:
        """Keep a message."""
        await self.open.wait()
        kept = self._messages.setdefault(topic.name, [])
        kept.append(Delivered(key, value, partition))
        async with self._changed:
            self._changed.notify_all()
        return Position(partition or 0, len(kept) - 1)

    def of(self, topic: TopicSpec) -> list[Delivered]:
        """Return what a topic was given."""
        return self._messages.get(topic.name, [])

    async def wait_for(self, topic: TopicSpec, count: int) -> list[Delivered]:
        """Wait until a topic was given `count` messages, and return them."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: len(self.of(topic)) >= count)
        return self.of(topic)
