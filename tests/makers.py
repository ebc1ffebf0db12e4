"""Messages for tests, whole and valid, and a delivery that keeps what it is given."""

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from machine import patience
from numpy.typing import NDArray

from app.history.index import History
from app.kafka.delivery import Position
from app.kafka.ledger import PartitionLedger, Received
from app.messages import (
    Enrolment,
    Faces,
    Frame,
    Gate,
    Identifications,
    Person,
    Sighting,
    StreamStatus,
    Template,
    encode,
    version,
)
from app.models.detection import Detections
from app.models.pipeline import Analysis
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
        "quality": np.full(count, 0.7, np.float32),
    }  # fmt: skip
    return Faces(**(fields | more))


def make_identifications(*people: str | None, **more: Any) -> Identifications:
    """Return who is on a frame: each with a name and a similarity, nobody with neither."""
    faces = make_faces([axis(0)] * len(people))
    fields = {
        "stream": "door", "partition": 0, "offset": 0, "faces_offset": 0, "captured": START,
        "width": 640, "height": 480, "live": False, "boxes": faces.boxes, "scores": faces.scores,
        "people": [*people], "names": [person and person.title() for person in people],
        "similarities": [person and 0.8 for person in people],
    }  # fmt: skip
    return Identifications(**(fields | more))


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


def make_analysis(*sizes: tuple[float, float], **more: Any) -> Analysis:
    """Return an analysis that found faces of these widths and heights, which passed the gate."""
    count = len(sizes)
    corners = [
        (10.0 * row, 20.0, 10.0 * row + width, 20.0 + height) for row, (width, height) in enumerate(sizes)
    ]
    found = Detections(
        np.array(corners, np.float32).reshape(count, 4),
        np.zeros((count, 5, 2), np.float32),
        np.full(count, 0.9, np.float32),
    )
    fields = {
        "detections": found,
        "gates": np.full(count, Gate.PASSED, np.uint8),
        "embeddings": np.eye(DIMENSION, dtype=np.float32)[:count],
        "aligned": np.zeros((count, 112, 112, 3), np.uint8),
        "quality": np.full(count, 0.7, np.float32),
    }
    return Analysis(**(fields | more))


def make_status(**more: Any) -> StreamStatus:
    fields = {
        "stream": "door", "partition": 0, "frame_offset": 5, "faces_offset": 5, "worker": "here:6066",
        "updated": START, "captured": START, "fps": 10.0, "age": 0.1, "width": 640, "height": 480,
        "live": True, "faces": 1, "frames": 100, "skipped": {"too-old": 2},
    }  # fmt: skip
    return StreamStatus(**(fields | more))


def changed(message: Any, **fields: Any) -> bytes:
    """Return the bytes of a message with some fields as they are given, checked by nobody."""
    return msgspec.msgpack.encode(msgspec.msgpack.decode(encode(message)) | fields)


def newer(message: Any) -> bytes:
    """Return the bytes of a message as a later program may write it: of the next version, with more."""
    return changed(message, v=version(type(message)) + 1, later="unheard of")


def make_received(
    value: bytes | None = b"", *, offset: int = 0, ledger: PartitionLedger | None = None, **more: Any
) -> Received:
    """Return a message that was handed out, as the next one of `ledger` or as the first one of its own."""
    own = ledger or PartitionLedger(offset)
    own.hand_out(offset)
    fields = {"topic": "frames", "partition": 0, "key": b"door", "headers": {}}
    return Received(offset=offset, value=value, ledger=own, **(fields | more))


class Delivered(NamedTuple):
    """A message that was put into the delivery."""

    key: bytes | None
    value: bytes
    partition: int | None


class KeptDelivery:
    """The far end of an agent: keeps every message, in order, by topic."""

    def __init__(self) -> None:
        self._messages: dict[str, list[Delivered]] = {}
        self._on_the_way: deque[tuple[str, Delivered, asyncio.Future[Position]]] = deque()
        self._opening: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        #: Clear it, and nothing is delivered until it is set again.
        self.open = asyncio.Event()
        self.open.set()

    def post(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> "asyncio.Future[Position]":
        """Keep a message once the delivery is open, after those that were posted before it."""
        landed: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        self._on_the_way.append((topic.name, Delivered(key, value, partition), landed))
        if self.open.is_set():
            self._keep()
        elif self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._keep_when_open())
        return landed

    async def send(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> Position:
        """Keep a message."""
        return await self.post(topic, key, value, partition)

    def of(self, topic: TopicSpec) -> list[Delivered]:
        """Return what a topic was given."""
        return self._messages.get(topic.name, [])

    async def wait_for(self, topic: TopicSpec, count: int) -> list[Delivered]:
        """Wait until a topic was given `count` messages, and return them."""
        async with patience(30):
            while len(self.of(topic)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(topic)

    async def _keep_when_open(self) -> None:
        await self.open.wait()
        self._keep()

    def _keep(self) -> None:
        while self._on_the_way:
            topic, message, landed = self._on_the_way.popleft()
            kept = self._messages.setdefault(topic, [])
            kept.append(message)
            if not landed.cancelled():
                landed.set_result(Position(message.partition or 0, len(kept) - 1))
        self._changed.set()


class SightingLog:
    """Writes sightings to the history as the follower of the log would."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._next: dict[int, int] = {}

    async def write(self, identity: str, partition: int = 0, **more: Any) -> None:
        offset = self._next.get(partition, 0)
        self._next[partition] = offset + 1
        await self.history.add([(partition, offset, encode(make_sighting(id=identity, **more)))])


def damage(path: Path) -> None:
    """Overwrite the middle of a database's file, as a disk that fails does."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 20_000)
