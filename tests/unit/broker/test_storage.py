"""The cluster id, and why Kafka ended."""

import base64
import os
import re
from pathlib import Path

import pytest

from app.broker.kafka import exit_reason
from app.broker.storage import new_cluster_id, read_cluster_id

LOG = """\
2026-01-01 10:00:00,000 INFO KafkaServer: Error is but a word here
2026-01-01 10:00:00,001 ERROR DataPlaneAcceptor: Unable to start acceptor for CLIENT
org.apache.kafka.KafkaException: Socket server failed to bind to 127.0.0.1:9092: Address already in use.
\tat kafka.network.Acceptor.start(SocketServer.scala:511)
2026-01-01 10:00:00,002 ERROR Kafka$: Exiting Kafka due to fatal exception during startup.
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a broker's folder."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "kafka").mkdir()
    return tmp_path


def test_cluster_ids_are_sixteen_random_bytes_that_no_tool_takes_for_an_option() -> None:
    identities = {new_cluster_id() for _ in range(2000)}
    assert len(identities) == 2000
    for identity in identities:
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", identity)
        assert len(base64.urlsafe_b64decode(identity + "==")) == 16


def test_the_cluster_id_is_read_from_what_kafka_wrote(data: Path) -> None:
    assert read_cluster_id(data) is None
    (data / "kafka" / "meta.properties").write_text("#\n#Mon\ncluster.id=a-b=\nnode.id=1\n", "ascii")
    assert read_cluster_id(data) == "a-b="


def test_a_signal_is_the_cause(data: Path) -> None:
    (data / "logs" / "kafka.log").write_text(LOG, "utf-8")
    assert exit_reason(data, -9, 0) == "killed by SIGKILL"


def test_the_first_error_of_the_log_is_the_cause(data: Path) -> None:
    (data / "logs" / "kafka.log").write_text(LOG, "utf-8")
    assert exit_reason(data, 1, 0) == (
        "DataPlaneAcceptor: Unable to start acceptor for CLIENT: org.apache.kafka.KafkaException: "
        "Socket server failed to bind to 127.0.0.1:9092: Address already in use."
    )


def test_the_log_of_an_earlier_run_is_not_blamed(data: Path) -> None:
    log = data / "logs" / "kafka.log"
    log.write_text(LOG, "utf-8")
    os.utime(log, (1000, 1000))
    assert exit_reason(data, 1, 2000) == "exit status 1"


def test_javas_own_last_words_come_first(data: Path) -> None:
    (data / "logs" / "kafka.log").write_text(LOG, "utf-8")
    words = "WARNING: something\nTerminating due to java.lang.OutOfMemoryError: Java heap space\n"
    (data / "logs" / "console.log").write_text(words, "utf-8")
    assert exit_reason(data, 3, 0) == "Terminating due to java.lang.OutOfMemoryError: Java heap space"
