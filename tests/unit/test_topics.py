"""Every topic is declared once."""

from app.settings import Settings
from app.topics import MAX_MESSAGE_BYTES, Topics


def test_names_carry_the_prefix_and_are_told_apart() -> None:
    names = [spec.name for spec in Topics(Settings(topic_prefix="test."))]
    assert sorted(names) == sorted(set(names))
    assert all(name.startswith("test.") for name in names)
    assert "test.dead-letters" in names


def test_what_belongs_to_a_stream_is_partitioned_alike() -> None:
    topics = Topics(Settings(partitions=5))
    alike = (
        topics.frames, topics.recordings, topics.faces, topics.identifications, topics.sightings,
        topics.checkpoints,
    )  # fmt: skip
    assert {spec.partitions for spec in alike} == {5}
    assert {spec.key for spec in alike} == {"stream"}


def test_a_recording_has_a_topic_of_its_own_where_it_stands_before_no_camera() -> None:
    topics = Topics(Settings(topic_prefix="test."))
    assert (topics.lane(live=True).name, topics.lane(live=False).name) == ("test.frames", "test.recordings")
    assert topics.lane(live=True).config == topics.lane(live=False).config


def test_what_only_one_worker_is_to_work_on_is_known() -> None:
    topics = Topics(Settings())
    assert {spec.name for spec in topics.worked_on} == {"frames", "recordings", "faces", "enrolments"}


def test_of_checkpoints_the_last_ones_stay_and_are_few() -> None:
    config = Topics(Settings()).checkpoints.config
    assert config["cleanup.policy"] == "compact"
    assert "retention.ms" not in config
    # Whoever was away may write last: the newest version is not alone for an hour.
    assert config["min.compaction.lag.ms"] == str(3600 * 1000)


def test_every_topic_takes_the_largest_message() -> None:
    assert {spec.config["max.message.bytes"] for spec in Topics(Settings())} == {str(MAX_MESSAGE_BYTES)}


def test_retention_follows_the_settings() -> None:
    topics = Topics(Settings(frames_hours=2, frames_bytes=10**9, memory_days=3, memory_bytes=10**8))
    for pictures in (topics.frames, topics.recordings):
        assert pictures.config["retention.ms"] == str(2 * 3600 * 1000)
        assert pictures.config["retention.bytes"] == str(10**9)
    # Of no use without the frames, and much smaller.
    assert topics.identifications.config["retention.ms"] == topics.frames.config["retention.ms"]
    assert int(topics.identifications.config["retention.bytes"]) < 10**9
    for memory in (topics.faces, topics.sightings):
        assert memory.config["retention.ms"] == str(3 * 24 * 3600 * 1000)
        assert memory.config["retention.bytes"] == str(10**8)
    assert topics.streams.config["cleanup.policy"] == "compact,delete"
    assert int(topics.frames.config["segment.ms"]) <= 2 * 3600 * 1000 / 4
