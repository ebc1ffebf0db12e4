"""The reader shows a frame with its faces, and takes note of what it cannot read of either."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from makers import make_frame, make_identifications, make_status, newer

from app.kafka.dead_letters import Unreadable
from app.messages import encode, encode_frame
from app.metrics import Metrics
from app.settings import Settings
from app.topics import Topics
from app.web.live import reader as module
from app.web.live.reader import Reader

JPEG = b"\xff\xd8\xff"
TOPICS = Topics(Settings())


class Consumer:
    """Has one record of each topic, wherever it is asked to read."""

    def __init__(self, records: dict[str, Any]) -> None:
        self._records = records
        self._places: set[TopicPartition] = set()

    def assignment(self) -> set[TopicPartition]:
        return self._places

    def assign(self, places: list[TopicPartition]) -> None:
        self._places = {*places}

    def seek(self, place: TopicPartition, offset: int) -> None:
        assert place in self._places

    async def getmany(self, **_: Any) -> dict[TopicPartition, list[Any]]:
        return {place: [self._records[place.topic]] for place in self._places if place.topic in self._records}


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what is on the log, by topic: a frame, and who is on it."""
    key, value, headers = encode_frame(make_frame(JPEG))
    found = encode(make_identifications("ada", live=False, offset=0))
    made = {
        topic.name: SimpleNamespace(topic=topic.name, offset=0, key=key, value=value, headers=headers)
        for topic, value in ((TOPICS.identifications, found), (TOPICS.recordings, value))
    }
    monkeypatch.setattr(module, "_consumer", lambda *_: Consumer(made))
    return made


@pytest.mark.parametrize(
    ("topic", "changes", "reason"),
    [
        (TOPICS.identifications, {"value": newer(make_identifications("ada"))}, "unknown-schema"),
        (TOPICS.identifications, {"value": b"junk"}, "malformed"),
        (TOPICS.recordings, {"headers": [("schema", b"2")]}, "unknown-schema"),
    ],
)
async def test_what_cannot_be_read_is_not_shown_and_taken_note_of(
    records: dict[str, Any], topic: Any, changes: dict[str, Any], reason: str
) -> None:
    metrics = Metrics()
    reader = Reader(Settings(), TOPICS, Unreadable(metrics), make_status(partition=0))
    reader._identifications.assign([TopicPartition(TOPICS.identifications.name, 0)])
    shown = await reader.newest()
    assert shown is not None
    assert (shown.identifications.people, shown.frame.jpeg) == (["ada"], JPEG)

    vars(records[topic.name]).update(changes)
    reader._reached = -1
    assert await reader.newest() is None
    labels = {"topic": topic.name, "reason": reason}
    assert metrics.registry.get_sample_value("onlooker_unreadable_records_total", labels) == 1
