"""Every topic of Onlooker, once: name, key, value, partitions, retention, compaction."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from app.errors import OnlookerError
from app.settings import Settings

__all__ = [
    "MAX_MESSAGE_BYTES",
    "BrokerUnreachableError",
    "TopicError",
    "TopicSpec",
    "Topics",
    "create_topics",
]

#: The largest message: a frame of a good camera, or an enrolment of many photographs.
MAX_MESSAGE_BYTES = 8 * 2**20

_RETRY = 0.1
_HOUR = 3_600_000
_DAY = 24 * _HOUR


class TopicError(OnlookerError):
    """A topic cannot be had as it is declared, or the broker cannot be reached."""


class BrokerUnreachableError(TopicError):
    """No Kafka answers where the settings say."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What a topic is called, what it carries and how long."""

    name: str
    key: str
    value: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


class Topics:
    """The topics under the settings' prefix, each an attribute."""

    def __init__(self, settings: Settings) -> None:
        def spec(name: str, key: str, value: str, partitions: int, **config: int | str) -> TopicSpec:
            options = {option.replace("_", "."): str(setting) for option, setting in config.items()}
            options.setdefault("max.message.bytes", str(MAX_MESSAGE_BYTES))
            return TopicSpec(settings.topic_prefix + name, key, value, partitions, options)

        shared = settings.partitions
        memory = {"retention_ms": int(settings.memory_days * _DAY), "retention_bytes": settings.memory_bytes}
        # Kafka deletes whole segments: small ones, or the promised hours of a quiet stream become days.
        self.frames = spec(
            "frames", "stream", "JPEG, with headers", shared,
            retention_ms=int(settings.frames_hours * _HOUR), retention_bytes=settings.frames_bytes,
            segment_bytes=64 * 2**20, segment_ms=max(_HOUR // 4, int(settings.frames_hours * _HOUR / 8)),
        )  # fmt: skip
        self.faces = spec("faces", "stream", "Faces", shared, segment_ms=_DAY, **memory)
        self.sightings = spec("sightings", "stream", "Sighting", shared, segment_ms=_DAY, **memory)
        self.enrolments = spec(
            "enrolments", "person", "Enrolment", 1, retention_ms=_DAY, segment_ms=_DAY // 4
        )
        self.streams = spec(
            "streams", "stream", "StreamStatus", 1, cleanup_policy="compact", segment_ms=_HOUR
        )
        self.dead_letters = spec(
            "dead-letters", "stream", "DeadLetter", 1, retention_ms=7 * _DAY, segment_ms=_DAY
        )

    def __iter__(self) -> Iterator[TopicSpec]:
        return iter(vars(self).values())


async def create_topics(settings: Settings, wait: float = 0) -> str:
    """Create the topics that are missing, check those that are there, and return the cluster's id.

    Arguments:
        wait: seconds for which a broker that does not answer is asked again.

    Raises:
        TopicError: a topic has another partition count, or the broker cannot be reached or refuses.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            return await _create_topics(settings)
        except BrokerUnreachableError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_RETRY)


async def _create_topics(settings: Settings) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, client_id=settings.app_id)
    try:
        await admin.start()
        await _create(admin, Topics(settings), settings.replication)
        await _check(admin, Topics(settings))
        cluster: str = (await admin.describe_cluster())["cluster_id"]
        return cluster
    except KafkaConnectionError:
        raise BrokerUnreachableError(f"no Kafka answers at {', '.join(settings.bootstrap)}") from None
    except KafkaError as error:
        addresses = ", ".join(settings.bootstrap)
        raise TopicError(f"cannot prepare the topics at {addresses}: {error}") from None
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: Topics, replication: int) -> None:
    wanted = [NewTopic(spec.name, spec.partitions, replication, topic_configs=spec.config) for spec in topics]
    response = await admin.create_topics(wanted)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise TopicError(f"cannot create the topic {name}: {message[0] if message else error.__name__}")


async def _check(admin: AIOKafkaAdminClient, topics: Topics) -> None:
    found = {
        entry["topic"]: len(entry["partitions"])
        for entry in await admin.describe_topics([t.name for t in topics])
        # A topic made a moment ago may not have reached the broker that answers.
        if entry["partitions"]
    }
    for spec in topics:
        if found.get(spec.name, spec.partitions) != spec.partitions:
            raise TopicError(
                f"the topic {spec.name} has {found[spec.name]} partitions, expected {spec.partitions}: "
                "set ONLOOKER_PARTITIONS to what is there, or use another ONLOOKER_TOPIC_PREFIX"
            )
