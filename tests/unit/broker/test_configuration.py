"""What Kafka is told."""

from app.broker.configuration import LOGGING, server_properties
from app.topics import MAX_MESSAGE_BYTES


def options() -> dict[str, str]:
    lines = server_properties(9092, 31_000).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_every_listener_is_on_loopback() -> None:
    assert options()["listeners"] == "CLIENT://127.0.0.1:9092,CONTROLLER://127.0.0.1:31000"
    assert options()["advertised.listeners"] == "CLIENT://127.0.0.1:9092"
    assert options()["controller.quorum.voters"] == "1@127.0.0.1:31000"


def test_what_is_kept_is_bounded_without_a_topics_own_word() -> None:
    assert int(options()["log.segment.bytes"]) < int(options()["log.retention.bytes"]) <= 2**30
    assert 0 < int(options()["log.retention.hours"]) <= 7 * 24
    assert int(options()["metadata.max.retention.bytes"]) <= 64 * 2**20


def test_the_largest_message_fits() -> None:
    assert int(options()["message.max.bytes"]) == MAX_MESSAGE_BYTES
    assert int(options()["replica.fetch.max.bytes"]) == MAX_MESSAGE_BYTES


def test_one_node_is_enough_for_every_internal_topic() -> None:
    assert {value for name, value in options().items() if name.endswith("replication.factor")} == {"1"}
    assert {value for name, value in options().items() if name.endswith("min.isr")} == {"1"}


def test_a_killed_broker_is_let_in_again_within_five_seconds() -> None:
    assert (
        int(options()["broker.heartbeat.interval.ms"]) * 2
        < int(options()["broker.session.timeout.ms"])
        < 5000
    )


def test_the_log_is_bounded_and_a_file() -> None:
    assert "size: 8MB" in LOGGING
    assert "max: 4" in LOGGING
    assert "Console" not in LOGGING
