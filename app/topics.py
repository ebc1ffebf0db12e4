"""Every topic of Onlooker, once: name, key, value, partitions, retention, compaction."""

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaConnectionError,
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

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

_log = logging.getLogger(__name__)

_RETRY = 0.1
#: Milliseconds that the broker may take for one answer.
_PATIENCE = 15_000
#: What Kafka says of a setting that was given to the topic itself, rather than to the broker.
_OF_TOPIC = 1
_HOUR = 3_600_000
_DAY = 24 * _HOUR


class TopicError(OnlookerError):
    """A topic cannot be had as it is declared, or the broker cannot be reached."""


class _NotYetError(TopicError):
    """The broker cannot do it now, but may in a moment."""


class BrokerUnreachableError(_NotYetError):
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
        def spec(name: str, key: str, value: str, partitions: int, **config: float | str) -> TopicSpec:
            options = {option.replace("_", "."): str(setting) for option, setting in config.items()}
            options.setdefault("max.message.bytes", str(MAX_MESSAGE_BYTES))
            return TopicSpec(settings.topic_prefix + name, key, value, partitions, options)

        shared = settings.partitions
        memory = {"retention_ms": int(settings.memory_days * _DAY), "retention_bytes": settings.memory_bytes}
        # Kafka deletes whole segments: small ones, or the promised hours of a quiet stream become days.
        pictures = {
            "retention_ms": int(settings.frames_hours * _HOUR),
            "retention_bytes": settings.frames_bytes,
            "segment_bytes": 64 * 2**20,
            "segment_ms": max(_HOUR // 4, int(settings.frames_hours * _HOUR / 8)),
        }
        # Two, so that a recording never stands before a camera.
        self.frames = spec("frames", "stream", "JPEG, with headers", shared, **pictures)
        self.recordings = spec("recordings", "stream", "JPEG, with headers", shared, **pictures)
        self.faces = spec("faces", "stream", "Faces", shared, segment_ms=_DAY, **memory)
        # Small, and of no use to anybody once the frames are gone.
        self.identifications = spec(
            "identifications", "stream", "Identifications", shared,
            **pictures | {"retention_bytes": 64 * 2**20, "segment_bytes": 16 * 2**20},
        )  # fmt: skip
        self.sightings = spec("sightings", "stream", "Sighting", shared, segment_ms=_DAY, **memory)
        # Read from its start whenever a partition changes hands, so it is kept short. A version stays for an
        # hour beside a newer one: the last to write may have been away, and a reader takes the furthest.
        self.checkpoints = spec(
            "checkpoints", "stream", "Checkpoint", shared,
            cleanup_policy="compact", segment_bytes=4 * 2**20, segment_ms=_HOUR // 4,
            min_cleanable_dirty_ratio=0.1, min_compaction_lag_ms=_HOUR, max_compaction_lag_ms=2 * _HOUR,
        )  # fmt: skip
        self.enrolments = spec(
            "enrolments", "person", "Enrolment", 1, retention_ms=_DAY, segment_ms=_DAY // 4
        )
        self.streams = spec(
            "streams", "stream", "StreamStatus", 1,
            cleanup_policy="compact,delete", retention_ms=memory["retention_ms"], segment_ms=_HOUR,
        )  # fmt: skip
        self.dead_letters = spec(
            "dead-letters", "stream", "DeadLetter", 1, segment_ms=_DAY, segment_bytes=16 * 2**20,
            retention_ms=7 * _DAY, retention_bytes=128 * 2**20,
        )  # fmt: skip
        # Faust's changelog of the table, under the name that Faust gives it: whoever is removed must be gone
        # from the disk soon, but a worker that was away for long must still hear that they are.
        self.identities = TopicSpec(
            f"{settings.app_id}-identities-changelog", "person", "Person", 1,
            {
                "cleanup.policy": "compact", "segment.ms": str(_HOUR // 4),
                "max.compaction.lag.ms": str(_HOUR // 2), "delete.retention.ms": str(30 * _DAY),
                "max.message.bytes": str(MAX_MESSAGE_BYTES),
            },
        )  # fmt: skip

    @property
    def worked_on(self) -> list[TopicSpec]:
        """The topics whose messages are worked on by one worker of all."""
        return [self.frames, self.recordings, self.faces, self.enrolments]

    def lane(self, live: bool) -> TopicSpec:
        """Return the topic that carries the frames of a camera, or of a recording."""
        return self.frames if live else self.recordings

    def __iter__(self) -> Iterator[TopicSpec]:
        return iter(vars(self).values())


async def create_topics(settings: Settings, wait: float = 0) -> str:
    """Create the topics that are missing, put right those that are there, and return the cluster's id.

    Arguments:
        wait: seconds for which a broker that does not answer, or is not ready yet, is asked again.

    Raises:
        TopicError: a topic has another partition count, or the broker cannot be reached or refuses.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            return await _create_topics(settings)
        except _NotYetError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_RETRY)


async def _create_topics(settings: Settings) -> str:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.bootstrap, client_id=settings.app_id, request_timeout_ms=_PATIENCE
    )
    addresses, topics = ", ".join(settings.bootstrap), Topics(settings)
    try:
        await admin.start()
        await _create(admin, topics, settings.replication)
        await _check(admin, topics)
        await _configure(admin, topics)
        cluster: str = (await admin.describe_cluster())["cluster_id"]
        return cluster
    except TopicError:
        raise
    except KafkaConnectionError:
        raise BrokerUnreachableError(f"no Kafka answers at {addresses}") from None
    except Exception as error:
        kind = _NotYetError if _passing(error) else TopicError
        raise kind(f"cannot prepare the topics at {addresses}: {_first_line(error)}") from None
    finally:
        await admin.close()


def _passing(error: Exception | type[Exception]) -> bool:
    """Tell whether an error goes away by itself when a broker has come up, as far as can be told."""
    kind = error if isinstance(error, type) else type(error)
    # The client looks for its controller without asking whether there is one; a broker that is fenced, for it
    # is just starting, does not count for replicas.
    passing = (TimeoutError, OSError, AttributeError, InvalidReplicationFactorError)
    return issubclass(kind, passing) or bool(getattr(kind, "retriable", False))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


async def _create(admin: AIOKafkaAdminClient, topics: Topics, replication: int) -> None:
    wanted = [NewTopic(spec.name, spec.partitions, replication, topic_configs=spec.config) for spec in topics]
    response = await admin.create_topics(wanted)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            kind = _NotYetError if _passing(error) else TopicError
            reason = message[0] if message and message[0] else error.__name__
            raise kind(f"cannot create the topic {name}: {reason}")


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


async def _configure(admin: AIOKafkaAdminClient, topics: Topics) -> None:
    """Give topics that were there already the configuration that is declared, where the broker lets us."""
    try:
        if changes := await _changes(admin, topics):
            for response in await admin.alter_configs(changes):
                for code, message, _kind, name in response.resources:
                    _warn_of(name, code, message)
    except KafkaError as error:
        if _passing(error):
            raise
        _log.warning("the topics keep the configuration that they have: %s", _first_line(error))


async def _changes(admin: AIOKafkaAdminClient, topics: Topics) -> list[ConfigResource]:
    """Return the whole configuration of those topics that differ from what is declared."""
    declared = {spec.name: spec.config for spec in topics}
    changes: list[ConfigResource] = []
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in declared]
    for response in await admin.describe_configs(asked):
        for code, message, _kind, name, entries in response.resources:
            _warn_of(name, code, message)
            found = {entry[0]: entry[1] for entry in entries}
            if not code and declared[name].items() - found.items():
                # What is not named goes back to its default: somebody may have set more than we declare.
                own = {entry[0]: entry[1] for entry in entries if entry[3] == _OF_TOPIC}
                changes.append(ConfigResource(ConfigResourceType.TOPIC, name, own | declared[name]))
    return changes


def _warn_of(name: str, code: int, message: str | None) -> None:
    error = for_code(code)
    # A topic made a moment ago has its configuration; the broker that answers may not know it yet.
    if code and error is not UnknownTopicOrPartitionError:
        _log.warning("the topic %s keeps the configuration that it has: %s", name, message or error.__name__)
