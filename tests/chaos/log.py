"""What is on the log of a cluster: what became of each frame, and every version of every sighting."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from chaos.writer import Place
from cluster import read_topic

from app.messages import DeadLetter, Faces, Sighting, StreamStatus, decode
from app.settings import Settings
from app.topics import Topics

__all__ = ["Log", "read_log"]

Record = ConsumerRecord[bytes, bytes]


@dataclass(slots=True)
class Log:
    """All that matters, as it was when it was read."""

    #: Frames, and what else was written in their place.
    frames: set[Place] = field(default_factory=set)
    faces: dict[Place, list[Faces]] = field(default_factory=lambda: defaultdict(list))
    #: Reasons.
    letters: dict[Place, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: Dead letters of anything but frames.
    other_letters: list[DeadLetter] = field(default_factory=list)
    #: Every version of each sighting, in the order of the log.
    sightings: dict[str, list[Sighting]] = field(default_factory=lambda: defaultdict(list))
    #: When faces of each stream were published, seconds since the epoch.
    published: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    #: Frames that were skipped, as the workers say.
    skipped: int = 0
    #: By topic and partition: where what the workers read ends, and where they would go on after a restart.
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    committed: dict[tuple[str, int], int] = field(default_factory=dict)

    def newest(self) -> list[Sighting]:
        """Return the version of each sighting that is to be kept: the furthest, of these an end, the last."""
        return [
            max(reversed(versions), key=lambda one: (one.revision, not one.open))
            for versions in self.sightings.values()
        ]

    def outcomes(self, place: Place) -> int:
        """Return how many things became of a frame."""
        return (place in self.faces) + (place in self.letters)

    def uncommitted(self) -> list[str]:
        """Return the partitions of which the workers have more to do, as far as they have said."""
        return [
            f"{topic} {partition} up to {self.committed.get((topic, partition), 0)} of {end}"
            for (topic, partition), end in self.ends.items()
            if self.committed.get((topic, partition), 0) < end
        ]


async def read_log(settings: Settings) -> Log:
    """Read everything back."""
    topics = Topics(settings)
    # Read first: what was committed must have its outcome by then.
    log = Log(committed=await _committed(settings))
    for lane in (topics.frames, topics.recordings):
        for record in await read_topic(settings, lane):
            log.frames.add(Place(*_end(log, record)))
    lanes = {live: topics.lane(live).name for live in (True, False)}
    for record in await read_topic(settings, topics.faces):
        _end(log, record)
        _take_faces(log, record, lanes)
    for record in await read_topic(settings, topics.dead_letters):
        _take_letter(log, record, lanes.values())
    for record in await read_topic(settings, topics.sightings):
        sighting = decode(Sighting, record.value)
        log.sightings[sighting.id].append(sighting)
    log.skipped = _skipped(await read_topic(settings, topics.streams))
    return log


def _end(log: Log, record: Record) -> tuple[str, int, int]:
    """Take note that a partition which the workers read goes on to a record; return where that is."""
    log.ends[record.topic, record.partition] = record.offset + 1
    return record.topic, record.partition, record.offset


def _take_faces(log: Log, record: Record, lanes: Mapping[bool, str]) -> None:
    faces = decode(Faces, record.value)
    log.faces[Place(lanes[faces.live], faces.partition, faces.offset)].append(faces)
    log.published[faces.stream].append(record.timestamp / 1000)


def _take_letter(log: Log, record: Record, lanes: Collection[str]) -> None:
    letter = decode(DeadLetter, record.value)
    if letter.topic in lanes:
        log.letters[Place(letter.topic, letter.partition, letter.offset)].append(letter.reason)
    else:
        log.other_letters.append(letter)


def _skipped(records: Iterable[Record]) -> int:
    """Add up what each worker says last of each stream that it has had."""
    said: dict[tuple[str, str], int] = Counter()
    for record in records:
        status = decode(StreamStatus, record.value)
        key = status.stream, status.worker
        said[key] = max(said[key], sum(status.skipped.values()))
    return sum(said.values())


async def _committed(settings: Settings) -> dict[tuple[str, int], int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(settings.app_id)
    except KafkaError as error:
        # Kafka looks for who keeps the group's offsets: it is new, or has just been started again.
        if not error.retriable:
            raise
        return {}
    finally:
        await admin.close()
    return {(place.topic, place.partition): said.offset for place, said in found.items()}
