"""Agents are given each message once and in order, and what is missing is read before anything else."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from app.kafka.intake import Intake
from app.kafka.ledger import Ledger, PartitionLedger, Received


class Consumer:
    """Notes what it is asked for; what is read again comes when a test says so."""

    def __init__(self) -> None:
        self.read: list[tuple[TP, int]] = []
        self.asked: list[tuple[str, TP]] = []

    async def read_again(self, partition: TP, ledger: PartitionLedger) -> None:
        self.read.append((partition, ledger.next))

    def on_buffer_full(self, partition: TP) -> None:
        self.asked.append(("full", partition))

    def on_buffer_drop(self, partition: TP) -> None:
        self.asked.append(("drop", partition))


class Stream:
    """Gives these messages; Faust would acknowledge each unless it is told not to."""

    def __init__(self, *messages: SimpleNamespace) -> None:
        self._messages = messages
        self._acknowledges = True

    def noack(self) -> "Stream":
        self._acknowledges = False
        return self

    async def events(self) -> AsyncIterator[SimpleNamespace]:
        assert not self._acknowledges
        for message in self._messages:
            yield SimpleNamespace(message=message)


def message(offset: int, topic: str = "frames", partition: int = 0, **more: Any) -> SimpleNamespace:
    fields = {"key": b"door", "value": b"%d" % offset, "headers": None}
    return SimpleNamespace(topic=topic, partition=partition, offset=offset, **(fields | more))


class Desk:
    """An intake, with one partition open from an offset on."""

    def __init__(self, begin: int = 0) -> None:
        self.consumer = Consumer()
        self.ledger = Ledger(["frames"])
        self.partition = self.ledger.open(("frames", 0), begin)
        app: Any = SimpleNamespace(consumer=self.consumer)
        self.intake = Intake(app, self.ledger)

    async def take(self, *messages: SimpleNamespace) -> list[Received]:
        stream: Any = Stream(*messages)
        return [received async for received in self.intake.messages(stream)]

    async def offsets(self, *offsets: int) -> list[int]:
        return [received.offset for received in await self.take(*map(message, offsets))]


async def test_what_comes_is_handed_over_whole() -> None:
    desk = Desk(begin=7)
    headers = [("seq", b"1"), ("schema", "1")]
    (received,) = await desk.take(message(7, key=b"yard", value=b"jpeg", headers=headers))
    assert (received.topic, received.partition, received.offset) == ("frames", 0, 7)
    assert (received.key, received.value) == (b"yard", b"jpeg")
    assert received.headers == {"seq": b"1", "schema": "1"}
    (bare,) = await desk.take(message(8, key=None, value=None))
    assert (bare.key, bare.value, bare.headers) == (None, None, {})


async def test_what_was_handed_over_before_is_dropped() -> None:
    desk = Desk()
    assert await desk.offsets(0, 1, 1, 0, 2, 2, 3) == [0, 1, 2, 3]
    assert desk.consumer.read == []


async def test_what_comes_too_early_is_dropped_and_what_is_missing_is_read() -> None:
    desk = Desk()
    assert await desk.offsets(0, 3, 4) == [0]
    assert desk.consumer.read == [(TP("frames", 0), 1), (TP("frames", 0), 1)]
    assert await desk.offsets(1, 2, 3, 4) == [1, 2, 3, 4]
    assert len(desk.consumer.read) == 2


async def test_a_partition_that_somebody_else_has_is_not_worked_on() -> None:
    desk = Desk()
    others = [message(0, partition=1), message(5, topic="faces")]
    assert [received.offset for received in await desk.take(*others, message(0))] == [0]
    assert desk.consumer.read == []
    assert list(desk.ledger) == [("frames", 0)]


async def test_nothing_is_done_before_somebody_says_so() -> None:
    desk = Desk()
    first, second = await desk.take(message(0), message(1))
    assert (desk.partition.committable, desk.partition.in_work) == (0, 2)
    second.done()
    assert desk.ledger.committable() == {}
    first.done()
    assert desk.ledger.committable() == {("frames", 0): 2}


async def test_a_message_of_a_partition_that_was_revoked_is_done_for_nothing() -> None:
    desk = Desk()
    (old,) = await desk.take(message(0))
    assert not old.revoked
    desk.ledger.close(("frames", 0))
    assert old.revoked
    assert await desk.take(message(1)) == []
    again = desk.ledger.open(("frames", 0), 0)
    (new,) = await desk.take(message(0))
    old.done()
    assert (old.revoked, new.revoked) == (True, False)
    assert again.committable == 0
    new.done()
    assert again.committable == 1


async def test_a_partition_is_paused_and_resumed_with_the_consumer() -> None:
    desk = Desk()
    desk.intake.pause("frames", 3)
    desk.intake.resume("frames", 3)
    assert desk.consumer.asked == [("full", TP("frames", 3)), ("drop", TP("frames", 3))]
