"""What cannot be read is counted each time, and said once."""

import pytest

from app.kafka.dead_letters import Unreadable
from app.messages import MessageError
from app.metrics import Metrics


def test_it_is_counted_by_topic_and_reason_and_said_once_for_each(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    unreadable = Unreadable(metrics)
    for reason, times in (("unknown-schema", 3), ("malformed", 2)):
        for number in range(times):
            unreadable.note("sightings", MessageError(reason, f"{reason} {number}"))
    unreadable.note("faces", MessageError("malformed", "no faces"))
    counted = {
        (sample.labels["topic"], sample.labels["reason"]): sample.value
        for sample in next(iter(metrics.unreadable.collect())).samples
        if sample.name.endswith("_total")
    }
    assert counted == {
        ("sightings", "unknown-schema"): 3, ("sightings", "malformed"): 2, ("faces", "malformed"): 1,
    }  # fmt: skip
    assert caplog.messages == [
        f"some of {topic} cannot be read and is passed over, such as: {text}"
        for topic, text in (
            ("sightings", "unknown-schema 0"), ("sightings", "malformed 0"), ("faces", "no faces"),
        )
    ]  # fmt: skip
