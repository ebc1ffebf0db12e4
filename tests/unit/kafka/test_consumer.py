"""The consumer reads from where the ledger says and commits what it says, whatever Faust has counted."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka import TopicPartition as AioTopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from faust.types import TP, Message
from faust.types.transports import TransportT
from machine import patience

from app.kafka import consumer as module
from app.kafka.consumer import LedgerConsumer, LedgerTransport
from app.kafka.ledger import Ledger, PartitionLedger
from app.kafka.shutdown import ShutdownDeadline
from app.settings import Settings

FIRST, SECOND, FACES = TP("frames", 0), TP("frames", 1), TP("faces", 0)
#: Of a topic that the ledger does not keep.
OTHER = TP("people", 0)


class App(faust.App):
    """A Faust application with what the consumer asks it for."""

    ledger: Ledger
    settings: Settings
    deadline: ShutdownDeadline
    #: What state was opened for, one after the other.
    opened: list[set[TP]]

    def open_state(self, assigned: set[TP]) -> None:
        self.opened.append(set(assigned))

    def _new_transport(self) -> TransportT:
        return LedgerTransport(self.conf.broker_consumer, self)


class Thread:
    """The thread in which Faust would talk to Kafka; what it is told, it keeps."""

    def __init__(self) -> None:
        self.committed: dict[TP, int | None] = {}
        self.earliest: dict[TP, int] = {}
        self.positions: dict[TP, int | None] = {}
        #: Where the log of a partition ends, if not far beyond what is told of here.
        self.ends: dict[TP, int] = {}
        self.commits: list[dict[TP, int]] = []
        self.seeks: list[dict[TP, int]] = []
        #: What the next commits answer; True when there is nothing more.
        self.answers: list[bool] = []
        self.generation = 3
        #: Clear it, and the broker does not say what is committed until it is set again.
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    def _ensure_consumer(self) -> Any:
        coordinator = SimpleNamespace(generation=self.generation)
        return SimpleNamespace(committed=self._committed, _coordinator=coordinator)

    async def _committed(self, partition: AioTopicPartition) -> int | None:
        assert isinstance(partition, AioTopicPartition)
        self.asked.set()
        await self.open.wait()
        return self.committed[TP(*partition)]

    async def call_thread(self, run: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        return await run(*arguments)

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return {partition: self.earliest[partition] for partition in partitions}

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        return {partition: self.ends.get(partition, 1000) for partition in partitions}

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        self.commits.append(dict(offsets))
        return self.answers.pop(0) if self.answers else True

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        self.seeks.append(dict(partitions))
        self.positions |= partitions

    async def position(self, partition: TP) -> int | None:
        return self.positions[partition]


class Desk:
    """A consumer that is not started."""

    def __init__(self, app: App) -> None:
        self.app, self.ledger = app, app.ledger
        consumer = app.consumer
        assert isinstance(consumer, LedgerConsumer)
        self.consumer = consumer
        # Its thread is never started: only its loop is there to be closed.
        consumer._thread.thread_loop.close()
        self.thread = Thread()
        faked: Any = consumer
        faked._thread = self.thread
        faked._on_partitions_assigned = faked._on_partitions_revoked = self._nothing

    async def _nothing(self, *arguments: Any) -> None:
        """What Faust would do besides."""

    async def assign(self, **committed: int | None) -> None:
        """Assign partitions of frames, such as `p0=7`, with what is committed of them."""
        offsets = {TP("frames", int(name[1:])): offset for name, offset in committed.items()}
        self.thread.committed |= offsets
        await self.consumer.on_partitions_assigned(set(offsets))
        await self.consumer.perform_seek()

    def work(self, partition: TP, *offsets: int) -> PartitionLedger:
        """Hand out these offsets, and let them be done."""
        ledger = self.ledger[partition]
        for offset in offsets:
            ledger.hand_out(offset)
            ledger.done(offset)
        return ledger


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    app = App("reads", broker="kafka://127.0.0.1:9", store="memory://", datadir=tmp_path)
    app.settings = Settings(broker="kafka://127.0.0.1:9")
    app.deadline = ShutdownDeadline()
    app.ledger, app.opened = Ledger(["frames", "faces"]), []
    yield Desk(app)


async def test_what_is_assigned_is_opened_and_sought_where_it_was_committed(desk: Desk) -> None:
    desk.thread.committed = {FIRST: 7, FACES: 40}
    await desk.consumer.on_partitions_assigned({FIRST, FACES, OTHER})
    assert list(desk.ledger) == []
    await desk.consumer.perform_seek()
    assert {partition: desk.ledger[partition].next for partition in desk.ledger} == {FIRST: 7, FACES: 40}
    assert desk.thread.seeks == [{FIRST: 7, FACES: 40}]
    assert desk.thread.commits == []


async def test_a_partition_is_sought_also_where_nothing_or_the_very_first_is_committed(desk: Desk) -> None:
    """aiokafka would go on from where it happens to be."""
    desk.thread.earliest = {SECOND: 5}
    await desk.assign(p0=0, p1=None)
    assert desk.thread.seeks == [{FIRST: 0, SECOND: 5}]
    assert (desk.ledger[FIRST].next, desk.ledger[SECOND].next) == (0, 5)
    # Or what is deleted meanwhile, or written, would be read by nobody.
    assert desk.thread.commits == [{SECOND: 5}]
    assert desk.ledger.committable() == {}


async def test_a_log_that_lost_what_was_read_goes_on_at_its_end(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """What comes next has offsets that were seen before, and is not what was seen."""
    desk.thread.ends = {FIRST: 4, SECOND: 9}
    await desk.assign(p0=7, p1=9)
    assert {tp: desk.ledger[tp].next for tp in desk.ledger} == {FIRST: 4, SECOND: 9}
    assert (desk.thread.commits, desk.thread.seeks) == ([{FIRST: 4}], [{FIRST: 4, SECOND: 9}])
    assert "frames 0: read up to 7, but the log ends at 4, where reading goes on" in caplog.messages


async def test_nothing_is_assigned_and_nothing_is_asked_for(desk: Desk) -> None:
    await desk.assign()
    thread = desk.thread
    assert (thread.seeks, thread.commits, thread.asked.is_set()) == ([], [], False)


async def test_what_is_open_is_sought_where_it_goes_on(desk: Desk) -> None:
    await desk.assign(p0=7)
    ledger = desk.work(FIRST, 7, 8)
    ledger.hand_out(9)
    desk.thread.committed[SECOND] = 1
    desk.consumer._assigned.add(SECOND)
    await desk.consumer.perform_seek()
    assert desk.ledger[FIRST] is ledger
    assert desk.thread.seeks == [{FIRST: 7}, {FIRST: 10, SECOND: 1}]


async def test_nothing_is_opened_that_was_revoked_meanwhile(desk: Desk) -> None:
    desk.thread.open.clear()
    assigning = asyncio.create_task(desk.assign(p0=7))
    await desk.thread.asked.wait()
    await desk.consumer.on_partitions_revoked({FIRST})
    desk.thread.committed[SECOND] = 3
    await desk.consumer.on_partitions_assigned({SECOND})
    desk.thread.open.set()
    await assigning
    assert list(desk.ledger) == desk.thread.seeks == []
    await desk.consumer.perform_seek()
    assert list(desk.ledger) == [SECOND]
    assert desk.thread.seeks == [{SECOND: 3}]


async def test_two_seeks_at_once_open_a_partition_once(desk: Desk) -> None:
    """Faust seeks when it resumes, and also where it has fetched something that it throws away."""
    await desk.assign()
    desk.thread.open.clear()
    desk.thread.committed[FIRST] = 7
    desk.consumer._assigned.add(FIRST)
    slow = asyncio.create_task(desk.consumer.perform_seek())
    await desk.thread.asked.wait()
    quick = desk.ledger.open(FIRST, 7)
    desk.work(FIRST, 7)
    desk.thread.open.set()
    await slow
    assert desk.ledger[FIRST] is quick
    assert desk.thread.seeks == [{FIRST: 8}]


async def test_what_is_revoked_is_closed_whatever_it_is(desk: Desk) -> None:
    await desk.assign(p0=7, p1=7)
    ledgers = [desk.ledger[FIRST], desk.ledger[SECOND]]
    # All of it goes, and some of it may come back.
    await desk.consumer.on_partitions_revoked({FIRST, SECOND})
    assert [ledger.closed for ledger in ledgers] == [True, True]
    assert list(desk.ledger) == []
    await desk.consumer.perform_seek()
    assert list(desk.ledger) == []


async def test_what_depends_on_it_may_finish_before_it_is_closed(desk: Desk) -> None:
    await desk.assign(p0=7)
    seen: list[bool] = []

    async def finish(revoked: set[TP]) -> None:
        desk.work(FIRST, 7)
        seen.append(await desk.consumer.force_commit())

    faked: Any = desk.consumer
    faked._on_partitions_revoked = finish
    await desk.consumer.on_partitions_revoked({FIRST})
    assert (seen, desk.thread.commits) == ([True], [{FIRST: 8}])


async def test_an_acknowledgement_of_fausts_changes_nothing(desk: Desk) -> None:
    await desk.assign(p0=7)
    consumer = desk.consumer
    message = Message("frames", 0, 7, 0.0, 0, {}, b"", b"", None)
    consumer.track_message(message)
    assert consumer.ack(message)
    assert message.acked
    assert (dict(consumer._acked), set(consumer.unacked)) == ({}, set())
    assert not await consumer.force_commit()
    assert desk.thread.commits == []


async def test_messages_of_other_topics_are_acknowledged_as_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.app.topics, "acks_enabled_for", lambda topic: topic == "people")
    message = Message("people", 0, 7, 0.0, 0, {}, b"", b"", None)
    assert desk.consumer.ack(message)
    assert desk.consumer._acked[OTHER] == [7]


async def test_only_what_the_ledger_says_is_committed_and_only_once(desk: Desk) -> None:
    await desk.assign(p0=7, p1=0)
    assert not await desk.consumer.commit()
    desk.work(FIRST, 7, 8)
    desk.ledger[SECOND].hand_out(0)
    assert await desk.consumer.commit()
    assert not await desk.consumer.commit()
    assert desk.thread.commits == [{FIRST: 9}]
    desk.ledger[SECOND].done(0)
    assert await desk.consumer.commit()
    assert desk.thread.commits == [{FIRST: 9}, {SECOND: 1}]


async def test_a_commit_that_fails_is_tried_again_with_the_next_one(desk: Desk) -> None:
    await desk.assign(p0=7)
    desk.thread.answers = [False, False]
    desk.work(FIRST, 7)
    assert not await desk.consumer.commit()
    assert not await desk.consumer.commit()
    desk.work(FIRST, 8)
    assert await desk.consumer.commit()
    assert desk.thread.commits == [{FIRST: 8}, {FIRST: 8}, {FIRST: 9}]
    assert desk.ledger.committable() == {}


async def test_what_faust_has_read_is_no_reason_to_drop_what_comes(desk: Desk) -> None:
    read = desk.consumer._read_offset
    for partition in (FIRST, OTHER):
        read[partition] = 40
    assert [read[partition] for partition in (FIRST, OTHER, TP("people", 1))] == [None, 40, None]


async def test_a_worker_that_the_group_has_gone_on_without_knows_it(desk: Desk) -> None:
    assert not desk.consumer.evicted
    desk.thread.generation = -1
    assert desk.consumer.evicted


class Reader:
    """What reads a partition on the side: its log, and what it fails with."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.begin = 0
        self.errors: dict[str, Exception] = {}
        self.started = 0
        self.stopped = 0
        self.sought: list[int] = []

    def __call__(self, _: Any, **options: Any) -> "Reader":
        return self

    def _fail(self, where: str) -> None:
        if error := self.errors.pop(where, None):
            raise error

    async def start(self) -> None:
        self.started += 1
        self._fail("start")

    async def stop(self) -> None:
        self.stopped += 1

    def assign(self, partitions: Sequence[Any]) -> None:
        assert partitions == [AioTopicPartition("frames", 0)]

    async def beginning_offsets(self, partitions: Sequence[Any]) -> dict[Any, int]:
        self._fail("ask")
        return dict.fromkeys(partitions, self.begin)

    def seek(self, partition: Any, offset: int) -> None:
        self.sought.append(offset)

    async def getmany(self, partition: Any, timeout_ms: int, max_records: int) -> dict[Any, list[Any]]:
        found = [offset for offset in self.offsets if offset >= self.sought[-1]][:max_records]
        return {partition: [SimpleNamespace(offset=offset) for offset in found]} if found else {}


class Clock:
    """The time of a consumer, which passes while it sleeps."""

    def __init__(self, desk: Desk) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        #: Called with the number of sleeps so far, before each.
        self.before: Callable[[int], Any] = lambda count: None
        faked: Any = desk.consumer
        faked.sleep = self._sleep

    def monotonic(self) -> float:
        return self.now

    async def _sleep(self, seconds: float) -> None:
        self.before(len(self.slept))
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    reader = Reader()
    monkeypatch.setattr(module, "make_consumer", reader)
    return reader


@pytest.fixture
def clock(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(desk)
    monkeypatch.setattr(module, "time", clock)
    return clock


async def test_what_never_came_is_read_again(desk: Desk, reader: Reader) -> None:
    reader.offsets = [7, 8, 9]
    await desk.assign(p0=7)
    ledger = desk.work(FIRST, 7)
    await desk.consumer.read_again(FIRST, ledger)
    assert desk.thread.seeks == [{FIRST: 7}, {FIRST: 8}]
    assert (ledger.next, reader.stopped) == (8, 1)


async def test_what_the_log_does_not_hold_is_passed_over(
    desk: Desk, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    reader.offsets, reader.begin = [20, 21], 15
    await desk.assign(p0=7)
    ledger = desk.ledger[FIRST]
    await desk.consumer.read_again(FIRST, ledger)
    assert reader.sought == [15]
    assert desk.thread.seeks[1:] == [{FIRST: 20}]
    assert (ledger.next, desk.ledger.committable()) == (20, {FIRST: 20})
    assert "frames 0: the log holds nothing in the 13 offsets before 20" in caplog.text


async def test_a_partition_that_was_revoked_is_not_read_again(
    desk: Desk, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.offsets = [7]
    await desk.assign(p0=7)
    ledger = desk.ledger[FIRST]

    async def revoke(*arguments: Any) -> int:
        desk.ledger.close(FIRST)
        return 9

    monkeypatch.setattr(desk.consumer, "_first_on_log", revoke)
    await desk.consumer.read_again(FIRST, ledger)
    await desk.consumer.read_again(FIRST, ledger)
    assert (desk.thread.seeks, ledger.next) == ([{FIRST: 7}], 7)


@pytest.mark.parametrize("where", ["start", "ask", None])
async def test_where_the_broker_does_not_say_what_it_holds_nothing_is_passed_over(
    where: str | None, desk: Desk, reader: Reader, clock: Clock
) -> None:
    if where:
        reader.errors[where] = KafkaConnectionError() if where == "start" else KafkaTimeoutError()
    await desk.assign(p0=7)
    ledger = desk.ledger[FIRST]
    await desk.consumer.read_again(FIRST, ledger)
    assert (desk.thread.seeks, ledger.next) == ([{FIRST: 7}], 7)
    assert reader.started == reader.stopped == 1
    reader.offsets = [8]
    clock.now += 60
    await desk.consumer.read_again(FIRST, ledger)
    assert desk.thread.seeks[1:] == [{FIRST: 8}]


async def test_what_was_fetched_before_a_seek_is_no_reason_for_another(
    desk: Desk, reader: Reader, clock: Clock
) -> None:
    reader.offsets = [7, 8, 9, 10]
    await desk.assign(p0=7)
    ledger = desk.ledger[FIRST]
    for _ in range(3):
        await desk.consumer.read_again(FIRST, ledger)
    assert desk.thread.seeks[1:] == [{FIRST: 7}]
    # Some of it came, and the next is missing again.
    desk.work(FIRST, 7)
    await desk.consumer.read_again(FIRST, ledger)
    assert desk.thread.seeks[1:] == [{FIRST: 7}, {FIRST: 8}]
    clock.now += 60
    await desk.consumer.read_again(FIRST, ledger)
    assert desk.thread.seeks[1:] == [{FIRST: 7}, {FIRST: 8}, {FIRST: 8}]


async def test_what_was_fetched_has_some_time_to_arrive(desk: Desk, reader: Reader, clock: Clock) -> None:
    reader.offsets = [7, 8, 9]
    await desk.assign(p0=7)
    ledger = desk.ledger[FIRST]
    desk.thread.positions[FIRST] = 10
    for looks in range(1, 5):
        assert desk.thread.seeks == [{FIRST: 7}], looks
        await desk.consumer._look(FIRST, ledger)
    assert desk.thread.seeks == [{FIRST: 7}, {FIRST: 7}]


@pytest.mark.parametrize(("end", "lost"), [(6, True), (8, False), (9, False)])
async def test_what_is_known_is_dropped_where_the_log_loses_what_was_read(
    end: int, lost: bool, desk: Desk, clock: Clock
) -> None:
    await desk.assign(p0=7)
    ledger = desk.work(FIRST, 7)
    desk.thread.ends[FIRST], desk.thread.positions[FIRST] = end, 6
    desk.thread.committed[FIRST] = 8
    await desk.consumer._look(FIRST, ledger)
    assert ledger.closed is lost
    assert desk.app.opened == ([set(), {FIRST}] if lost else [])
    assert desk.ledger[FIRST].next == (end if lost else 8)


async def test_what_goes_on_is_not_read_again(desk: Desk, reader: Reader, clock: Clock) -> None:
    reader.offsets = [*range(7, 40)]
    await desk.assign(p0=7)
    ledger = desk.ledger[FIRST]
    for offset in range(7, 30):
        desk.thread.positions[FIRST] = offset + 5
        await desk.consumer._look(FIRST, ledger)
        if offset % 2:
            desk.work(FIRST, ledger.next)
    assert desk.thread.seeks == [{FIRST: 7}]


@pytest.mark.parametrize("position", [None, 7])
async def test_nothing_is_missing_where_nothing_was_fetched(
    position: int | None, desk: Desk, reader: Reader, clock: Clock
) -> None:
    await desk.assign(p0=7)
    ledger = desk.ledger[FIRST]
    for _ in range(3):
        desk.thread.positions[FIRST] = 10
        await desk.consumer._look(FIRST, ledger)
        await desk.consumer._look(FIRST, ledger)
        desk.thread.positions[FIRST] = position
        await desk.consumer._look(FIRST, ledger)
    assert desk.thread.seeks == [{FIRST: 7}]


async def test_only_partitions_that_are_read_now_are_looked_at(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.assign(p0=7, p1=7)
    desk.consumer.on_buffer_full(SECOND)
    desk.consumer._assigned.add(FACES)
    looked: list[TP] = []

    async def look(partition: TP, ledger: PartitionLedger) -> None:
        assert ledger is desk.ledger[partition]
        looked.append(partition)

    def then(count: int) -> None:
        if count == 2:
            desk.consumer.stop_flow()
        if count == 4:
            desk.consumer._stopped.set()

    monkeypatch.setattr(desk.consumer, "_look", look)
    clock.before = then
    await run(desk.consumer._look_for_lost, desk.consumer)
    assert looked == [FIRST, FIRST]


async def run(task: Any, consumer: LedgerConsumer) -> None:
    """Run a task of a service that is not started."""
    async with patience(20):
        await task(consumer)


async def test_a_worker_that_was_away_begins_anew_where_the_group_kept_it(desk: Desk, clock: Clock) -> None:
    await desk.assign(p0=7)
    old = desk.ledger[FIRST]
    desk.thread.committed[FIRST] = 90
    closed: list[bool] = []
    clock.before = lambda count: closed.append(old.closed)
    await desk.consumer._begin_anew()
    assert closed == [True]
    assert desk.app.opened == [set(), {FIRST}]
    assert desk.ledger[FIRST].next == 90
    assert desk.thread.seeks == [{FIRST: 7}, {FIRST: 90}]


async def test_a_worker_that_was_away_waits_for_the_rebalance_that_is_due(desk: Desk, clock: Clock) -> None:
    await desk.assign(p0=7)

    def rebalance(count: int) -> None:
        desk.consumer._revocations += 1

    clock.before = rebalance
    await desk.consumer._begin_anew()
    assert (desk.app.opened, list(desk.ledger)) == ([set()], [])
    assert desk.thread.seeks == [{FIRST: 7}]


async def test_a_worker_that_was_away_waits_for_the_rebalance_that_is_under_way(
    desk: Desk, clock: Clock
) -> None:
    await desk.assign(p0=7)
    desk.app.rebalancing = True
    await desk.consumer._begin_anew()
    assert (desk.app.opened, list(desk.ledger)) == ([set()], [])


@pytest.mark.parametrize(("away", "expected"), [(0.0, 0), (3.0, 0), (30.0, 1)])
async def test_whether_it_was_away_is_told_by_the_clock(
    away: float, expected: int, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beginning anew takes some time itself, which is not to be taken for another absence."""
    desk.app.conf.broker_session_timeout = 6.0
    await desk.assign(p0=7)
    begun: list[float] = []

    async def begin_anew() -> None:
        begun.append(clock.now)
        clock.now += 9.0

    def then(count: int) -> None:
        clock.now += away if count == 2 else 0
        if count == 6:
            desk.consumer._stopped.set()

    monkeypatch.setattr(desk.consumer, "_begin_anew", begin_anew)
    clock.before = then
    await run(desk.consumer._notice_absence, desk.consumer)
    assert len(begun) == expected


async def test_who_has_nothing_misses_nothing(desk: Desk, clock: Clock) -> None:
    def then(count: int) -> None:
        clock.now += 60
        if count == 3:
            desk.consumer._stopped.set()

    clock.before = then
    await run(desk.consumer._notice_absence, desk.consumer)
    assert desk.app.opened == []
