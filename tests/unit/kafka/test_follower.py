"""The follower hands over a whole topic, knows how far it is, and goes where its handler wants it to."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from machine import patience
from settled import settled
from studio import until

from app.kafka import follower as module
from app.kafka.follower import Follower, ReadFrom
from app.settings import Settings
from app.topics import TopicSpec

TOPIC = TopicSpec("news", "stream", "anything", partitions=2)


class Log:
    """A topic that is read as aiokafka's consumer reads one; None is an offset without a record."""

    def __init__(self, *partitions: Sequence[str | None]) -> None:
        self._values = [list(values) for values in partitions]
        self._at: dict[TopicPartition, int] = {}
        self.stopped = False

    def append(self, partition: int, value: str | None) -> None:
        self._values[partition].append(value)

    async def start(self) -> None:
        """Do nothing; it is always there."""

    async def stop(self) -> None:
        self.stopped = True

    def assign(self, places: Sequence[TopicPartition]) -> None:
        self._at = dict.fromkeys(places, 0)

    def assignment(self) -> set[TopicPartition]:
        return set(self._at)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._at[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self._at[place]

    async def beginning_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: len(self._values[place.partition]) for place in places}

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        """Return at most two records of each partition."""
        await asyncio.sleep(0.001)
        return {place: self._read(place) for place in self._at}

    def _read(self, place: TopicPartition) -> list[Any]:
        values = self._values[place.partition]
        begin = self._at[place]
        end = self._at[place] = min(begin + 2, len(values))
        return [
            SimpleNamespace(partition=place.partition, offset=offset, value=values[offset])
            for offset in range(begin, end)
            if values[offset] is not None
        ]


class Desk:
    """Notes what it is handed; may be told to object to the next batch, or to keep it for a while."""

    def __init__(self) -> None:
        self.values: list[str] = []
        #: How often it was handed something.
        self.asked = 0
        self.empty = 0
        self.objection: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def handle(self, records: Sequence[Any]) -> None:
        self.asked += bool(records)
        await self.open.wait()
        if objection := self.objection:
            self.objection = None
            raise objection
        self.empty += not records
        self.values += [record.value for record in records]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(module, "_RETRY", 0.01)
    return Desk()


@pytest.fixture
async def follow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Any:
    tasks: list[asyncio.Task[None]] = []

    def start(log: Log, positions: dict[int, int] | None = None) -> tuple[Follower, asyncio.Task[None]]:
        monkeypatch.setattr(module, "make_consumer", lambda *_, **__: log)
        follower = Follower(Settings(), TOPIC, positions or {}, desk.handle)
        tasks.append(asyncio.create_task(follower.run()))
        return follower, tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def caught_up(follower: Follower) -> None:
    async with patience(20):
        for partition in range(TOPIC.partitions):
            await follower.caught_up(partition)


async def test_everything_is_handed_over_from_where_reading_begins(follow: Any, desk: Desk) -> None:
    log = Log(["a0", "a1", "a2", "a3", "a4"], ["b0", "b1"])
    follower, _ = follow(log, {0: 2})
    await caught_up(follower)
    assert sorted(desk.values) == ["a2", "a3", "a4", "b0", "b1"]
    log.append(1, "b2")
    await caught_up(follower)
    assert desk.values[-1] == "b2"


async def test_an_end_without_records_is_reached(follow: Any, desk: Desk) -> None:
    """Compaction takes records out of a log, and transactions leave marks in it that are no records."""
    follower, _ = follow(Log(["a0", None, None, None], [None]))
    await caught_up(follower)
    assert follower.complete
    assert desk.values == ["a0"]


async def test_what_is_being_handled_has_not_been_handled(follow: Any, desk: Desk) -> None:
    desk.open.clear()
    follower, _ = follow(Log(["a0"], []))
    waiting = asyncio.create_task(caught_up(follower))
    await until(lambda: desk.asked)
    await settled()
    assert not waiting.done()
    desk.open.set()
    await waiting
    assert desk.values == ["a0"]


async def test_it_is_complete_with_what_was_there_when_it_began(follow: Any, desk: Desk) -> None:
    desk.open.clear()
    log = Log(["a0", "a1", "a2"], [])
    follower, _ = follow(log)
    assert not follower.complete
    await until(lambda: desk.asked)
    assert not follower.complete
    desk.open.set()
    await until(lambda: follower.complete)
    assert desk.values == ["a0", "a1", "a2"]
    desk.open.clear()
    handed = desk.asked
    log.append(0, "a3")
    await until(lambda: desk.asked > handed)
    assert follower.complete


async def test_a_handler_hears_now_and_then_that_there_is_nothing(follow: Any, desk: Desk) -> None:
    follow(Log([], []))
    await until(lambda: desk.empty >= 3)


async def test_a_handler_that_lost_everything_is_handed_all_of_it_again(follow: Any, desk: Desk) -> None:
    log = Log(["a0", "a1", "a2"], ["b0"])
    follower, _ = follow(log)
    await caught_up(follower)
    desk.values.clear()
    desk.objection = ReadFrom({})
    await until(lambda: not follower.complete)
    await caught_up(follower)
    assert sorted(desk.values) == ["a0", "a1", "a2", "b0"]
    assert follower.complete


async def test_a_handler_that_has_some_already_is_handed_the_rest(follow: Any, desk: Desk) -> None:
    desk.objection = ReadFrom({0: 2})
    follower, _ = follow(Log(["a0", "a1", "a2"], ["b0"]))
    await until(lambda: follower.complete)
    assert sorted(desk.values) == ["a2", "b0"]


async def test_any_other_objection_ends_it(follow: Any, desk: Desk) -> None:
    log = Log(["a0"], [])
    desk.objection = RuntimeError("no more")
    _, task = follow(log)
    with pytest.raises(RuntimeError, match="no more"):
        await task
    assert log.stopped
