"""What agents stand on in tests: a Faust application in memory, accounts, and a log that a test controls."""

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import faust
import numpy as np
from faust.types import TP
from machine import SLOWNESS
from makers import START, KeptDelivery, make_faces
from studio import until
from watch import make_rules

from app.agents.identify import Identify
from app.agents.monitor import Monitor
from app.agents.partitions import Partitions
from app.agents.recognise import Recognise
from app.kafka import checkpoints as module
from app.kafka.checkpoints import Checkpoints, Stored
from app.kafka.dead_letters import DeadLetters
from app.kafka.delivery import Position
from app.kafka.intake import Intake
from app.kafka.ledger import Ledger, PartitionLedger
from app.messages import (
    Checkpoint,
    DeadLetter,
    Faces,
    Frame,
    Identifications,
    Sighting,
    StreamStatus,
    decode,
    encode,
    encode_frame,
)
from app.metrics import Metrics
from app.models.detection import Detections
from app.models.embedding import Vectors
from app.models.images import Floats, Image
from app.models.pipeline import Nets, Recogniser
from app.settings import Settings
from app.tables.gallery import Gallery
from app.topics import Topics, TopicSpec
from app.tracking import TrackletRules, VisitRules

__all__ = ["Bench", "Changelog", "Desk", "MakeBench", "Patient", "Stage", "faces_of"]

#: Every partition that a test uses.
PARTITIONS = (0, 1)
EVERY_FACE = TrackletRules(every=True)
RULES = make_rules(update=0)


class Withheld(NamedTuple):
    """A message on its way."""

    key: bytes | None
    value: bytes
    partition: int | None
    landed: "asyncio.Future[Position]"


class HeldDelivery(KeptDelivery):
    """Withholds what is posted to some topics, as a broker does that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self._withheld: dict[str, list[Withheld]] = {}

    def post(
        self, topic: TopicSpec, key: bytes | None, value: bytes, partition: int | None = None
    ) -> "asyncio.Future[Position]":
        """Keep a message, or withhold it."""
        if topic.name not in self._withheld:
            return super().post(topic, key, value, partition)
        landed: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        self._withheld[topic.name].append(Withheld(key, value, partition, landed))
        return landed

    def hold(self, topic: TopicSpec) -> None:
        """Take nothing that is posted to a topic from now on."""
        self._withheld[topic.name] = []

    def withheld(self, topic: TopicSpec) -> int:
        """Return how many messages are on their way to a topic."""
        return len(self._withheld[topic.name])

    def lose(self, topic: TopicSpec) -> None:
        """Forget what was posted to a topic, as when its writer dies, and take what comes."""
        for one in self._withheld.pop(topic.name):
            one.landed.cancel()

    def let_go(self, topic: TopicSpec) -> None:
        """Take what was posted to a topic, and what comes."""
        for one in self._withheld.pop(topic.name):
            kept = self.post(topic, one.key, one.value, one.partition)
            if not one.landed.cancelled():
                one.landed.set_result(kept.result())


class KeptCheckpoints(Checkpoints):
    """Reads the checkpoints that a delivery has kept."""

    def __init__(self, settings: Settings, topics: Topics, delivery: KeptDelivery) -> None:
        super().__init__(settings, topics, delivery)
        self._kept = delivery
        #: Clear it, and nothing is read until it is set again.
        self.readable = asyncio.Event()
        self.readable.set()

    async def read(self, partitions: Collection[int]) -> dict[int, list[Stored]]:
        """Return what stands for most of each stream."""
        await self.readable.wait()
        found: dict[int, dict[bytes, Stored]] = {number: {} for number in partitions}
        for offset, kept in enumerate(self._kept.of(self._topic)):
            if kept.partition in found:
                record: Any = SimpleNamespace(topic=self._topic.name, offset=offset, **kept._asdict())
                module._take(record, found[kept.partition], 2**53)
        return {number: list(stored.values()) for number, stored in found.items()}


class Consumer:
    """Notes which partitions are not to be fetched now."""

    def __init__(self) -> None:
        self.full: set[TP] = set()

    def on_buffer_full(self, partition: TP) -> None:
        self.full.add(partition)

    def on_buffer_drop(self, partition: TP) -> None:
        self.full.discard(partition)


class Changelog:
    """Stands where Faust's producer stands: takes the changes of the table, or does not."""

    def __init__(self) -> None:
        self.changes: list[tuple[bytes, bytes | None]] = []
        #: What the next changes fail with.
        self.failures: list[Exception] = []
        #: Clear it, and no change arrives until it is set again.
        self.open = asyncio.Event()
        self.open.set()

    def send_soon(self, change: Any) -> None:
        self.changes.append((change.message.key, change.message.value))
        arriving = asyncio.create_task(self._arrive(change))
        change.add_done_callback(lambda _: arriving.cancel())

    async def _arrive(self, change: Any) -> None:
        await self.open.wait()
        if self.failures:
            change.set_exception(self.failures.pop(0))
        else:
            change.set_result(SimpleNamespace(offset=len(self.changes)))


class Stage:
    """What an agent stands on: a Faust application in memory, and a delivery that keeps all."""

    def __init__(self, app: faust.App) -> None:
        self.app = app
        self.settings = Settings(in_flight=3)
        self.topics = Topics(self.settings)
        self.metrics = Metrics()
        self.delivery = HeldDelivery()
        self.dead_letters = DeadLetters(self.delivery, self.topics, self.metrics)
        self.checkpoints = KeptCheckpoints(self.settings, self.topics, self.delivery)
        self.consumer = Consumer()
        self.ledger = Ledger([spec.name for spec in self.topics.worked_on])
        consumed: Any = SimpleNamespace(consumer=self.consumer)
        self.intake = Intake(consumed, self.ledger)
        self._ends: Counter[TP] = Counter()
        self.open()

    def open(self) -> None:
        """Open every partition where it was left."""
        for topic in self.ledger.topics:
            for number in PARTITIONS:
                place = TP(topic, number)
                begin = self.ledger[place].committable if place in self.ledger else 0
                self.ledger.open(place, begin)

    def partitions(self, rules: VisitRules = RULES, tracklets: TrackletRules = EVERY_FACE) -> Partitions:
        """Return the partitions of a worker, all of them assigned to it."""
        known: dict[str, StreamStatus] = {}

        async def ready() -> None:
            return

        made = Partitions(self.checkpoints, self.dead_letters, rules, tracklets, known.get, ready)
        made.assign(PARTITIONS)
        return made

    def agent(self, topic: str, run: Callable[..., Any]) -> Any:
        """Return the context in which an agent is fed by hand."""
        channel = self.app.topic(topic, key_type=bytes, value_type=bytes)
        agent = self.app.agent(channel, name=topic)(run)
        self.app.finalize()
        self.app.conf.store = "memory://"
        self.app.flow_control.resume()
        return agent.test_context()

    async def put(
        self,
        agent: Any,
        topic: str,
        value: bytes | None,
        *,
        key: bytes = b"door",
        partition: int = 0,
        headers: Mapping[str, bytes] | None = None,
        offset: int | None = None,
    ) -> int:
        """Let a message come, the next one of its partition unless an offset is given; return that."""
        place = TP(topic, partition)
        agent.sent_offset = self._ends[place] if offset is None else offset
        self._ends[place] = max(self._ends[place], agent.sent_offset + 1)
        sent = int(agent.sent_offset)
        await agent.put(value, key=key, headers=dict(headers or {}), partition=partition, wait=False)
        return sent

    def of(self, topic: str, partition: int = 0) -> PartitionLedger:
        """Return the account of a partition."""
        return self.ledger[TP(topic, partition)]

    async def all_done(self, topic: str, partition: int = 0) -> None:
        """Wait until all that has come is done."""
        await until(lambda: self.of(topic, partition).committable == self._ends[TP(topic, partition)])

    def value(self, name: str, **labels: str) -> float | None:
        """Return what Prometheus is told."""
        return self.metrics.registry.get_sample_value(f"onlooker_{name}", labels)

    async def letters(self, count: int) -> list[DeadLetter]:
        """Wait for so many dead letters, and return them."""
        kept = await self.delivery.wait_for(self.topics.dead_letters, count)
        return [decode(DeadLetter, delivered.value) for delivered in kept]


class Bench:
    """The recognition agent, fed by hand: cameras' frames on one topic, recordings' on the other."""

    def __init__(
        self, stage: Stage, nets: Nets, settings: Settings, tracklets: TrackletRules = EVERY_FACE
    ) -> None:
        self.stage = stage
        self.partitions = stage.partitions(tracklets=tracklets)
        self.monitor = Monitor(stage.topics, stage.delivery, stage.metrics, lambda: "here:1")
        self.recognise = Recognise(
            settings, stage.topics, nets, stage.intake, self.partitions, stage.delivery, stage.dead_letters,
            self.monitor, stage.metrics,
        )  # fmt: skip
        self.cameras = stage.agent("frames", self._noted(self.recognise.run))
        self.recordings = stage.agent("recordings", self._noted(self.recognise.run_recordings))
        #: What the runs ended with.
        self.ended: list[BaseException] = []

    def _noted(self, run: Callable[[Any], Any]) -> Callable[[Any], Any]:
        async def noting(stream: Any) -> None:
            try:
                await run(stream)
            except BaseException as error:
                self.ended.append(error)
                raise

        return noting

    async def send(self, agent: Any, frame: Frame, **changed: Any) -> int:
        """Let a frame come on the topic of its lane, and return its offset."""
        key, value, headers = encode_frame(frame)
        message = {"key": key, "value": value, "headers": dict(headers)} | changed
        topic = self.stage.topics.lane(frame.live).name
        return await self.stage.put(agent, topic, **message)

    async def faces(self, count: int) -> list[Faces]:
        """Wait for the faces of so many frames, and return them."""
        kept = await self.stage.delivery.wait_for(self.stage.topics.faces, count)
        return [decode(Faces, delivered.value) for delivered in kept]

    async def publish(self) -> list[StreamStatus]:
        """Write the statuses that are due, and return all that were written."""
        await self.monitor.publish(self.partitions.monitors)
        kept = self.stage.delivery.of(self.stage.topics.streams)
        return [decode(StreamStatus, delivered.value) for delivered in kept]

    def busy(self) -> bool:
        """Tell whether any frame is in work."""
        return bool(self.recognise._busy)


#: Makes a bench, on nets of its own where they are given, with these settings.
MakeBench = Callable[..., Bench]


class Patient(Recogniser):
    """Finds nothing in a picture, and takes as long for it as a test wants; pictures go by their width."""

    def __init__(self) -> None:
        nothing: Any = None
        super().__init__(nothing, nothing, 24, 0.5)
        self.begun: list[int] = []
        self._held: defaultdict[int, threading.Event] = defaultdict(threading.Event)

    def hold(self, *widths: int) -> None:
        """Do not come to an end with pictures of these widths."""
        for width in widths:
            self._held[width].clear()

    def let_go(self, *widths: int) -> None:
        """Come to an end with pictures of these widths; with all, where none is given."""
        for width in widths or tuple(self._held):
            self._held[width].set()

    def detect_all(self, images: Sequence[Image]) -> list[Any]:
        for image in images:
            width = image.shape[1]
            self.begun.append(width)
            if width in self._held:
                assert self._held[width].wait(30 * SLOWNESS)
        none = Detections(
            np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32)
        )
        return [(none, np.zeros(0, np.uint8)) for _ in images]

    def embed_all(self, aligned: Sequence[Image], gates: Any) -> list[Vectors]:
        return [Vectors(np.zeros((0, 8), np.float32), np.zeros(0, np.float32)) for _ in aligned]

    def quality(self, *_: Any) -> Floats:
        return np.zeros(0, np.float32)


class Desk:
    """The agent of one worker, fed by hand."""

    def __init__(self, stage: Stage, gallery: Gallery, rules: VisitRules = RULES, **more: Any) -> None:
        self.stage = stage
        self.partitions = stage.partitions(rules)
        self.identify = Identify(
            Settings(**more), stage.topics, gallery, stage.intake, self.partitions, stage.delivery,
            stage.dead_letters, stage.metrics,
        )  # fmt: skip
        self.context = stage.agent("faces", self.identify.run)

    async def send(self, agent: Any, *frames: Faces, partition: int = 0) -> None:
        """Let faces come, each at the next offset."""
        for faces in frames:
            key = faces.stream.encode()
            await self.stage.put(agent, "faces", encode(faces), key=key, partition=partition)

    async def taken_in(self, offset: int, partition: int = 0) -> None:
        """Wait until what came before an offset has been taken in."""
        await until(lambda: any(p.number == partition and p.next >= offset for p in self.partitions))

    async def sightings(self, count: int) -> list[Sighting]:
        """Wait for so many sightings, and return them."""
        kept = await self.stage.delivery.wait_for(self.stage.topics.sightings, count)
        return [decode(Sighting, delivered.value) for delivered in kept]

    def identifications(self) -> list[Identifications]:
        """Return the identifications that are on the log."""
        kept = self.stage.delivery.of(self.stage.topics.identifications)
        return [decode(Identifications, delivered.value) for delivered in kept]

    def checkpoints(self) -> list[Checkpoint]:
        """Return the checkpoints that are on the log."""
        kept = self.stage.delivery.of(self.stage.topics.checkpoints)
        return [decode(Checkpoint, delivered.value) for delivered in kept]

    def told(self) -> int:
        """Return how many sightings are on the log."""
        return len(self.stage.delivery.of(self.stage.topics.sightings))


def faces_of(*embeddings: Any, count: int, start: int = 0, **more: Any) -> list[Faces]:
    """Return the faces of so many frames, a tenth of a second apart."""
    return [
        make_faces(embeddings, offset=number, seq=number, captured=START + number * 100, **more)
        for number in range(start, start + count)
    ]
