"""Every topic of Onlooker, once: name, key, value, partitions, retention, compaction."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.settings import Settings

__all__ = ["MAX_MESSAGE_BYTES", "TopicSpec", "Topics"]

#: The largest message: a frame of a good camera, or an enrolment of many photographs.
MAX_MESSAGE_BYTES = 8 * 2**20

_HOUR = 3_600_000
_DAY = 24 * _HOUR


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
