"""What is known of streams is opened with a partition, written before anything is done, dropped with it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any

import pytest
from machine import patience
from makers import KeptDelivery, make_received, make_sighting, make_status, newer
from studio import until
from watch import RULES

from app.agents import partitions as module
from app.agents.partitions import OwnedPartition, Partitions
from app.agents.stream import OwnedStream
from app.kafka.checkpoints import Stored
from app.kafka.dead_letters import DeadLetters
from app.kafka.ledger import Ledger
from app.messages import Checkpoint, DeadLetter, MessageError, StreamStatus, decode
from app.metrics import Metrics
from app.settings import Settings
from app.topics import Topics
from app.tracking.state import Mark, StreamState, Visit, write_state
from app.tracking.tracklets import TrackletRules

TOPICS = Topics(Settings())
NOTHING = write_state(StreamState())


class Log:
    """The checkpoints that are on the log, and those that are written to it."""

    def __init__(self) -> None:
        self.stored: dict[int, list[Stored]] = {}
        self.written: list[list[Checkpoint]] = []
        self.asked: list[set[int]] = []
        #: Clear them, and nothing is read, or delivered, until they are set again.
        self.readable, self.writable = asyncio.Event(), asyncio.Event()
        self.readable.set()
        self.writable.set()

    async def read(self, partitions: Collection[int]) -> dict[int, list[Stored]]:
        self.asked.append(set(partitions))
        await self.readable.wait()
        return {number: self.stored.get(number, []) for number in partitions}

    async def write(self, checkpoints: Iterable[Checkpoint]) -> None:
        self.written.append([*checkpoints])
        await self.writable.wait()

    def names(self) -> list[list[str]]:
        return [[one.stream for one in written] for written in self.written]


class Desk:
    """Partitions, and what they stand on."""

    def __init__(self) -> None:
        self.log, self.delivery = Log(), KeptDelivery()
        self.ledger = Ledger(["faces"])
        self.statuses: dict[str, StreamStatus] = {}
        self.ready = asyncio.Event()
        self.ready.set()
        checkpoints: Any = self.log
        self.partitions = Partitions(
            checkpoints,
            DeadLetters(self.delivery, TOPICS, Metrics()),
            RULES,
            TrackletRules(),
            self.statuses.get,
            self.ready.wait,
        )

    async def assign(self, *numbers: int) -> list[OwnedPartition]:
        """Assign these partitions, and wait until they are open."""
        self.partitions.assign(numbers)
        owned = list(self.partitions)
        async with patience(20):
            await asyncio.gather(*(one.open.wait() for one in owned))
        return owned

    def take_in(self, partition: OwnedPartition, count: int, *changed: str) -> None:
        """Hand out the next faces of a partition, and let them change these streams."""
        place = ("faces", partition.number)
        if place not in self.ledger:
            self.ledger.open(place, 0)
        partition.faces = self.ledger[place]
        for _ in range(count):
            partition.faces.hand_out(partition.faces.next)
        partition.next = partition.faces.next
        for name in changed:
            stream = partition.stream(name)
            stream.next, stream.changed = partition.next, True

    def dead_letters(self) -> list[DeadLetter]:
        return [decode(DeadLetter, kept.value) for kept in self.delivery.of(TOPICS.dead_letters)]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    desk.partitions.drop()


def stored(stream: str, next: int, partition: int = 0, state: bytes | None = None) -> Stored:
    state = write_state(state_of(stream)) if state is None else state
    checkpoint = Checkpoint(stream=stream, partition=partition, next=next, state=state)
    return Stored(make_received(topic=TOPICS.checkpoints.name, key=stream.encode()), checkpoint)


def state_of(stream: str) -> StreamState:
    visit = Visit(sighting=make_sighting(stream=stream))
    return StreamState(recorded=Mark(4, 1000), visits=[visit])


def written(stream: OwnedStream) -> bytes:
    return write_state(stream.tracker.state)


async def settle() -> None:
    """Let everybody have their say."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_assigned_is_opened_in_the_background(desk: Desk) -> None:
    desk.log.readable.clear()
    desk.log.stored = {0: [stored("door", 7)], 1: [stored("yard", 3, 1), stored("roof", 9, 1)]}
    desk.partitions.assign({0, 1})
    first, second = desk.partitions
    await until(lambda: desk.log.asked)
    assert (first.number, second.number, desk.log.asked) == (0, 1, [{0, 1}])
    assert not first.open.is_set()
    assert not second.open.is_set()
    desk.log.readable.set()
    await until(lambda: first.open.is_set() and second.open.is_set())
    assert {name: stream.next for name, stream in first.streams.items()} == {"door": 7}
    assert {name: stream.next for name, stream in second.streams.items()} == {"yard": 3, "roof": 9}
    assert written(first.streams["door"]) == write_state(state_of("door"))
    assert not first.streams["door"].changed


async def test_nothing_is_opened_before_it_can_be_told_how_streams_were_doing(desk: Desk) -> None:
    """A count that began anew would be written over the one that is on the log."""
    desk.ready.clear()
    desk.log.stored = {0: [stored("door", 7)]}
    desk.partitions.assign([0])
    (partition,) = desk.partitions
    await until(lambda: desk.log.asked)
    await settle()
    assert not partition.open.is_set()
    assert partition.streams == {}
    desk.statuses["door"] = make_status(frames=41)
    desk.ready.set()
    await until(partition.open.is_set)
    status = partition.streams["door"].monitor.status("here:1")
    assert status is not None
    assert status.frames == 41


async def test_who_has_nothing_reads_nothing(desk: Desk) -> None:
    assert await desk.assign() == []
    await settle()
    assert (desk.log.asked, desk.partitions.monitors) == ([], [])


async def test_a_stream_that_is_new_begins_with_nothing_and_is_the_same_from_then_on(desk: Desk) -> None:
    (partition,) = await desk.assign(2)
    stream = partition.stream("door")
    assert (stream.name, stream.next, stream.heard, stream.changed) == ("door", 0, None, False)
    assert (stream.monitor.partition, written(stream)) == (2, NOTHING)
    assert partition.stream("door") is stream
    other = partition.stream("yard")
    assert desk.partitions.monitors == [stream.monitor, other.monitor]


async def test_silence_is_waited_for_only_where_somebody_is_there(desk: Desk) -> None:
    desk.log.stored = {0: [stored("door", 7), stored("yard", 7, state=write_state(StreamState()))]}
    (partition,) = await desk.assign(0)
    assert partition.streams["door"].heard is not None
    assert partition.streams["yard"].heard is None


async def test_a_message_finds_its_partition_while_this_worker_has_it(desk: Desk) -> None:
    first, second = await desk.assign(0, 1)
    message = make_received(partition=1)
    assert desk.partitions.of(message) is second
    assert desk.partitions.of(make_received(partition=0, topic="faces")) is first
    assert desk.partitions.of(make_received(partition=2)) is None
    message.ledger.closed = True
    assert desk.partitions.of(message) is None
    desk.partitions.drop()
    assert desk.partitions.of(make_received(partition=1)) is None


async def test_a_message_finds_a_partition_that_is_not_open_yet(desk: Desk) -> None:
    desk.log.readable.clear()
    desk.partitions.assign([0])
    found = desk.partitions.of(make_received())
    assert found is not None
    assert not found.open.is_set()


async def test_what_has_changed_is_written_and_its_faces_are_done_then(desk: Desk) -> None:
    (partition,) = await desk.assign(0)
    partition.stream("roof")
    desk.take_in(partition, 5, "door", "yard")
    await desk.partitions.checkpoint()
    assert desk.log.names() == [["door", "yard"]]
    assert {(one.partition, one.next) for one in desk.log.written[0]} == {(0, 5)}
    assert [one.state for one in desk.log.written[0]] == [NOTHING] * 2
    assert desk.ledger.committable() == {("faces", 0): 5}
    desk.take_in(partition, 2, "door")
    await desk.partitions.checkpoint()
    assert desk.log.names() == [["door", "yard"], ["door"]]
    assert desk.ledger.committable() == {("faces", 0): 7}


async def test_nothing_is_done_before_the_checkpoint_is_delivered(desk: Desk) -> None:
    (partition,) = await desk.assign(0)
    desk.take_in(partition, 5, "door")
    desk.log.writable.clear()
    writing = asyncio.create_task(desk.partitions.checkpoint())
    await until(lambda: desk.log.written)
    await settle()
    assert desk.ledger.committable() == {}
    assert partition.lock.locked()
    desk.log.writable.set()
    await writing
    assert desk.ledger.committable() == {("faces", 0): 5}


async def test_nothing_is_written_before_the_identifications_up_to_there_are_delivered(desk: Desk) -> None:
    """Whoever goes on from a checkpoint does not make again what it stands for."""
    (partition,) = await desk.assign(0)
    desk.take_in(partition, 5, "door")
    desk.delivery.open.clear()
    partition.identified = desk.delivery.post(TOPICS.identifications, b"door", b"somebody", 0)
    writing = asyncio.create_task(desk.partitions.checkpoint())
    await settle()
    assert (desk.log.written, desk.ledger.committable()) == ([], {})
    desk.delivery.open.set()
    await writing
    assert desk.ledger.committable() == {("faces", 0): 5}


async def test_identifications_that_cannot_be_delivered_hold_up_nothing(desk: Desk) -> None:
    (partition,) = await desk.assign(0)
    desk.take_in(partition, 5, "door")
    partition.identified = asyncio.get_running_loop().create_future()
    partition.identified.set_exception(ValueError("refused"))
    await desk.partitions.checkpoint()
    assert desk.ledger.committable() == {("faces", 0): 5}
    assert partition.identified.exception()


async def test_faces_that_change_nothing_are_done_without_a_checkpoint(desk: Desk) -> None:
    (partition,) = await desk.assign(0)
    desk.take_in(partition, 3)
    await desk.partitions.checkpoint()
    assert desk.log.written == []
    assert desk.ledger.committable() == {("faces", 0): 3}


async def test_only_what_was_taken_in_is_done(desk: Desk) -> None:
    (partition,) = await desk.assign(0)
    desk.take_in(partition, 3, "door")
    desk.ledger["faces", 0].hand_out(3)
    await desk.partitions.checkpoint()
    assert desk.ledger.committable() == {("faces", 0): 3}
    assert desk.ledger["faces", 0].in_work == 1


async def test_a_partition_that_is_not_open_or_of_which_no_faces_came_is_left_alone(desk: Desk) -> None:
    desk.log.readable.clear()
    desk.partitions.assign([0])
    (partition,) = desk.partitions
    desk.take_in(partition, 3, "door")
    await desk.partitions.checkpoint()
    assert (desk.log.written, desk.ledger.committable()) == ([], {})
    desk.log.readable.set()
    (other,) = await desk.assign(1)
    other.stream("yard").changed = True
    await desk.partitions.checkpoint()
    assert desk.log.names() == [["yard"]]


async def test_a_checkpoint_waits_for_who_changes_the_partition(desk: Desk) -> None:
    (partition,) = await desk.assign(0)
    desk.take_in(partition, 1, "door")
    async with partition.lock:
        writing = asyncio.create_task(desk.partitions.checkpoint())
        await settle()
        assert desk.log.written == []
        desk.take_in(partition, 1, "yard")
    await writing
    assert desk.log.names() == [["door", "yard"]]
    assert desk.ledger.committable() == {("faces", 0): 2}


async def test_a_partition_that_was_revoked_writes_nothing(desk: Desk) -> None:
    (partition,) = await desk.assign(0)
    desk.take_in(partition, 5, "door")
    async with partition.lock:
        writing = asyncio.create_task(desk.partitions.checkpoint())
        await settle()
        desk.partitions.drop()
        desk.ledger.close(("faces", 0))
    await writing
    async with partition.lock:
        await desk.partitions.write(partition, partition.streams.values())
    await desk.partitions.checkpoint()
    assert desk.log.written == []
    assert list(desk.partitions) == desk.partitions.monitors == []


async def test_what_is_revoked_while_it_is_written_is_not_done(desk: Desk) -> None:
    """The stream that was not written would go on behind faces that nobody would see again."""
    (partition,) = await desk.assign(0)
    desk.take_in(partition, 5, "door")
    desk.delivery.open.clear()
    partition.identified = desk.delivery.post(TOPICS.identifications, b"door", b"somebody", 0)
    writing = asyncio.create_task(desk.partitions.checkpoint())
    await settle()
    # The ledger is open still: what is committable may yet be committed.
    desk.partitions.drop()
    desk.delivery.open.set()
    await writing
    assert (desk.log.written, desk.ledger.committable()) == ([], {})


async def test_what_is_opened_in_a_second_try_leaves_alone_who_is_at_work(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise OSError("no room for the dead letter")

    monkeypatch.setattr(module, "_RETRY", 0.01)
    refused = Stored(make_received(), None, MessageError("malformed", "bad"))
    desk.log.stored = {0: [stored("door", 7)], 1: [refused, stored("yard", 3, 1)]}
    with monkeypatch.context() as patch:
        patch.setattr(desk.partitions._dead_letters, "send", refuse)
        desk.partitions.assign([0, 1])
        first, second = desk.partitions
        await until(first.open.is_set)
        first.stream("door").next = 12
        await until(lambda: len(desk.log.asked) > 2)
        assert not second.open.is_set()
    await until(second.open.is_set)
    assert (first.stream("door").next, second.stream("yard").next) == (12, 3)


async def test_who_waits_for_a_partition_that_is_revoked_is_let_go(desk: Desk) -> None:
    desk.log.readable.clear()
    desk.partitions.assign([0])
    (partition,) = desk.partitions
    waiting = asyncio.create_task(partition.open.wait())
    await settle()
    assert not waiting.done()
    desk.partitions.drop()
    async with patience(20):
        await waiting
    assert partition.revoked


async def test_a_new_assignment_begins_with_what_is_on_the_log(desk: Desk) -> None:
    desk.log.stored = {0: [stored("door", 7)]}
    (old,) = await desk.assign(0)
    old.stream("door").next = 99
    desk.log.stored = {0: [stored("door", 12)], 1: []}
    new, other = await desk.assign(0, 1)
    assert (old.revoked, new.revoked, other.revoked) == (True, False, False)
    assert new is not old
    assert new.streams["door"] is not old.streams["door"]
    assert new.streams["door"].next == 12


async def test_an_assignment_that_comes_too_soon_opens_nothing_of_the_one_before(desk: Desk) -> None:
    desk.log.stored = {0: [stored("door", 7)]}
    desk.log.readable.clear()
    desk.partitions.assign([0])
    (old,) = desk.partitions
    await until(lambda: len(desk.log.asked) == 1)
    desk.partitions.assign([0, 1])
    new, other = desk.partitions
    await until(lambda: len(desk.log.asked) == 2)
    desk.log.readable.set()
    await until(lambda: new.open.is_set() and other.open.is_set())
    assert (old.revoked, old.streams) == (True, {})
    assert new.streams["door"].next == 7


@pytest.mark.parametrize("what", ["envelope", "state", "newer state"])
async def test_a_checkpoint_that_cannot_be_read_lets_its_own_stream_begin_anew(
    what: str, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    message = make_received(topic=TOPICS.checkpoints.name, key=b"door", offset=5)
    if what == "envelope":
        bad = Stored(message, None, MessageError("unknown-schema", "Checkpoint of version 2"))
    else:
        state = newer(state_of("door")) if what == "newer state" else b"\x80"
        bad = Stored(message, Checkpoint(stream="door", partition=0, next=7, state=state))
    desk.log.stored = {0: [stored("yard", 3), bad, stored("roof", 9)], 1: [stored("hall", 2, 1)]}
    first, second = await desk.assign(0, 1)
    assert {name: one.next for name, one in first.streams.items()} == {"yard": 3, "roof": 9}
    assert {name: one.next for name, one in second.streams.items()} == {"hall": 2}
    door = first.stream("door")
    assert (door.next, written(door)) == (0, NOTHING)
    (letter,) = desk.dead_letters()
    assert (letter.topic, letter.offset, letter.key, letter.value) == (
        TOPICS.checkpoints.name, 5, b"door", None,
    )  # fmt: skip
    assert letter.reason == ("malformed" if what == "state" else "unknown-schema")
    assert "the checkpoint of the stream door cannot be read, and it begins anew" in caplog.text


async def test_what_a_partition_writes_is_what_the_next_worker_opens(desk: Desk) -> None:
    (partition,) = await desk.assign(0)
    desk.take_in(partition, 5, "door")
    partition.stream("door").tracker.state = state_of("door")
    await desk.partitions.checkpoint()
    (checkpoint,) = desk.log.written[0]
    desk.log.stored = {0: [Stored(make_received(), checkpoint)]}
    (again,) = await desk.assign(0)
    door = again.streams["door"]
    assert (door.next, written(door)) == (5, write_state(state_of("door")))
