"""Faust on a real Kafka with the ledger: each message once and in order, whatever is lost on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.protocol.group import LeaveGroupRequest
from faust.types import TP
from faust.types.transports import TransportT
from machine import patience
from studio import until

from app.broker import Broker
from app.kafka import consumer as module
from app.kafka.consumer import LedgerTransport
from app.kafka.intake import Intake
from app.kafka.ledger import Ledger, Received
from app.kafka.shutdown import ShutdownDeadline
from app.settings import Settings

PARTITIONS = 2
#: Seconds that Kafka and two workers may take on a busy machine.
PATIENCE = 60


class App(faust.App):
    """A Faust application with what the consumer asks it for."""

    ledger: Ledger
    settings: Settings
    deadline = ShutdownDeadline()

    def open_state(self, assigned: set[TP]) -> None:
        """Open nothing: it keeps none."""

    def _new_transport(self) -> TransportT:
        return LedgerTransport(self.conf.broker_consumer, self)


class Worker:
    """A worker with one agent, which begins when it is told to and keeps what it was given."""

    def __init__(self, broker: Broker, topic: str, folder: Path, does: Callable[[Received], bool]) -> None:
        app = self.app = App(
            f"group-of-{topic}",
            broker=broker.url,
            store="memory://",
            datadir=folder / uuid4().hex,
            key_serializer="raw",
            value_serializer="raw",
            web_enabled=False,
            topic_disable_leader=True,
            stream_wait_empty=False,
            broker_commit_interval=0.1,
            broker_session_timeout=6.0,
            broker_heartbeat_interval=0.5,
        )
        app.settings, app.ledger = Settings(broker=broker.url), Ledger([topic])
        self.begin = asyncio.Event()
        self.given: list[tuple[int, int, bytes | None]] = []
        self.queue: Any = None
        self._topic, self._does, self._intake = topic, does, Intake(app, app.ledger)
        channel = app.topic(topic, key_type=bytes, value_type=bytes, maxsize=10_000)
        app.agent(channel, name="agent")(self._run)

    async def _run(self, stream: Any) -> None:
        self.queue = stream.channel.queue
        await self.begin.wait()
        async for message in self._intake.messages(stream):
            self.given.append((message.partition, message.offset, message.value))
            if self._does(message):
                message.done()

    def pause(self, partition: int) -> None:
        """Read no more of a partition."""
        self._intake.pause(self._topic, partition)

    def resume(self, partition: int) -> None:
        """Read it again."""
        self._intake.resume(self._topic, partition)

    def offsets(self, partition: int) -> list[int]:
        return [offset for number, offset, _ in self.given if number == partition]

    async def fetched(self, count: int) -> None:
        """Wait until so many messages wait for the agent."""
        await until(lambda: self.queue is not None and self.queue.qsize() >= count, PATIENCE)

    async def has(self, *counts: int) -> None:
        """Wait until the agent was given so many messages of each partition."""
        await until(
            lambda: [len(self.offsets(number)) for number in range(PARTITIONS)] == [*counts], PATIENCE
        )


class Desk:
    """A topic, and the workers of one group on it."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self._broker, self._folder = broker, folder
        self.topic = f"ledgered-{uuid4().hex[:8]}"
        self.workers: list[Worker] = []
        self.admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)

    async def worker(self, does: Callable[[Received], bool] = lambda message: True) -> Worker:
        """Start a worker beside those that are there, and wait until all partitions are shared out."""
        worker = Worker(self._broker, self.topic, self._folder, does)
        self.workers.append(worker)
        await worker.app.start()
        await until(lambda: self._shares() and sum(self._shares()) == PARTITIONS, PATIENCE)
        return worker

    def _shares(self) -> list[int]:
        """Return how many partitions each worker has; nothing while one has none."""
        shares = [worker.app.ledger.open_partitions for worker in self.workers]
        return shares if all(shares) else []

    async def stop(self) -> None:
        """Stop the worker that is there."""
        await self.workers.pop().app.stop()

    async def evict(self, worker: Worker) -> None:
        """Take a worker out of its group as Kafka does when it has heard nothing of it for too long."""
        consumer: Any = worker.app.consumer
        coordinator = consumer._thread._ensure_consumer()._coordinator
        leave = LeaveGroupRequest(coordinator.group_id, coordinator.member_id)
        sending = asyncio.run_coroutine_threadsafe(coordinator._send_req(leave), consumer._thread.thread_loop)
        await asyncio.wrap_future(sending)

    async def write(self, *partitions: int) -> None:
        """Write one message after the other, to these partitions."""
        async with AIOKafkaProducer(bootstrap_servers=self._broker.bootstrap) as producer:
            for number, partition in enumerate(partitions):
                await producer.send_and_wait(self.topic, b"%d" % number, partition=partition)

    async def committed(self) -> dict[int, int]:
        offsets = await self.admin.list_consumer_group_offsets(f"group-of-{self.topic}")
        return {place.partition: kept.offset for place, kept in offsets.items()}

    async def commit(self, partition: int, offset: int) -> None:
        """Commit this offset for the workers, of which none is there."""
        reader = AIOKafkaConsumer(
            bootstrap_servers=self._broker.bootstrap,
            group_id=f"group-of-{self.topic}",
            enable_auto_commit=False,
        )
        async with reader:
            place = TopicPartition(self.topic, partition)
            reader.assign([place])
            await reader.commit({place: offset})

    async def commits(self, *offsets: int) -> None:
        """Wait until these offsets are committed."""
        async with patience(60):
            while await self.committed() != dict(enumerate(offsets)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@pytest.fixture
async def desk(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.2)
    desk = Desk(broker, tmp_path)
    await desk.admin.start()
    await desk.admin.create_topics([NewTopic(desk.topic, PARTITIONS, 1)])
    yield desk
    for worker in desk.workers:
        await worker.app.stop()
    await desk.admin.close()


async def test_everything_comes_once_and_in_order_and_is_committed_when_it_is_done(desk: Desk) -> None:
    kept: list[Received] = []

    def does(message: Received) -> bool:
        kept.append(message)
        return message.offset != 10

    worker = await desk.worker(does)
    # Where reading begins is known before anything comes.
    await desk.commits(0, 0)
    worker.begin.set()
    await desk.write(*[0, 1, 1] * 20)
    await worker.has(20, 40)
    assert [worker.offsets(number) for number in range(2)] == [list(range(20)), list(range(40))]
    await desk.commits(10, 10)
    for message in kept:
        message.done()
    await desk.commits(20, 40)


async def test_a_worker_knows_whether_the_group_has_gone_on_without_it(desk: Desk) -> None:
    """What it knows then is no longer for it to write down."""
    worker = await desk.worker()
    app, noted = worker.app, []

    @app.on_partitions_revoked.connect(weak=False)
    async def note(*_: Any, **__: Any) -> None:
        noted.append(app.consumer.evicted)

    await desk.worker()
    assert noted and not any(noted)
    before = len(noted)
    await desk.evict(worker)
    await until(lambda: len(noted) > before, PATIENCE)
    assert noted[before]


async def test_a_partition_that_waits_is_not_read_and_comes_whole_afterwards(desk: Desk) -> None:
    """Also where it is given out anew meanwhile."""
    worker = await desk.worker()
    worker.begin.set()
    worker.pause(0)
    await desk.write(*[0, 1] * 10)
    await worker.has(0, 10)
    worker.resume(0)
    await worker.has(10, 10)
    worker.pause(0)
    await desk.write(*[0, 1] * 10)
    await worker.has(10, 20)
    other = await desk.worker()
    other.begin.set()
    both = (worker, other)
    for one in both:
        one.resume(0)
    await until(lambda: {offset for one in both for offset in one.offsets(0)} == {*range(20)}, PATIENCE)
    assert all(one.offsets(0) == sorted({*one.offsets(0)}) for one in both)
    await desk.commits(20, 20)


async def test_the_next_worker_goes_on_with_what_is_not_done(desk: Desk) -> None:
    first = await desk.worker(lambda message: message.offset < 7 or message.partition == 1)
    first.begin.set()
    await desk.write(*[0, 1] * 10)
    await first.has(10, 10)
    await desk.commits(7, 10)
    await desk.stop()
    second = await desk.worker()
    second.begin.set()
    await desk.write(0, 1)
    await second.has(4, 1)
    assert [second.offsets(number) for number in range(2)] == [[7, 8, 9, 10], [10]]
    await desk.commits(11, 11)


@pytest.mark.parametrize("lost", [slice(0, 60), slice(0, 10), slice(20, 40), slice(50, 60)], ids=str)
async def test_what_was_fetched_and_never_arrives_is_read_again(lost: slice, desk: Desk) -> None:
    """Faust throws away what it has fetched when partitions change hands; nothing need come after it."""
    worker = await desk.worker()
    await desk.write(*[0, 1, 1] * 20)
    await worker.fetched(60)
    kept = list(worker.queue._queue)
    del kept[lost]
    worker.queue._queue.clear()
    worker.queue._queue.extend(kept)
    worker.begin.set()
    await worker.has(20, 40)
    assert [worker.offsets(number) for number in range(2)] == [list(range(20)), list(range(40))]
    await desk.commits(20, 40)


async def test_what_waits_for_a_worker_that_loses_its_partition_is_given_to_the_other(desk: Desk) -> None:
    first = await desk.worker()
    await desk.write(*[0, 1, 1] * 20)
    await first.fetched(60)
    second = await desk.worker()
    first.begin.set()
    second.begin.set()
    await until(lambda: len(first.given) + len(second.given) >= 60, PATIENCE)
    await desk.write(0, 1)
    await desk.commits(21, 41)
    both = sorted([*first.given, *second.given])
    assert [(partition, offset) for partition, offset, _ in both] == [
        *((0, offset) for offset in range(21)), *((1, offset) for offset in range(41)),
    ]  # fmt: skip
    assert {number for number, _, _ in first.given} != {number for number, _, _ in second.given}


async def test_what_was_deleted_before_it_was_read_is_passed_over(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.worker()
    await desk.commits(0, 0)
    await desk.write(*[0] * 10)
    await desk.stop()
    await desk.admin.delete_records({TopicPartition(desk.topic, 0): RecordsToDelete(before_offset=6)})
    worker = await desk.worker()
    worker.begin.set()
    await worker.has(4, 0)
    assert worker.offsets(0) == [6, 7, 8, 9]
    await desk.commits(10, 0)


async def test_a_log_that_is_shorter_than_what_was_committed_goes_on_at_its_end(desk: Desk) -> None:
    """As after a power failure: what comes next has offsets that were committed before."""
    await desk.worker()
    await desk.commits(0, 0)
    await desk.write(*[0, 1] * 10)
    await desk.stop()
    await desk.commit(0, 17)
    worker = await desk.worker()
    await desk.commits(10, 0)
    worker.begin.set()
    await worker.has(0, 10)
    await desk.write(*[0] * 3)
    await worker.has(3, 10)
    assert worker.offsets(0) == [10, 11, 12]
    await desk.commits(13, 10)


async def test_a_log_that_gets_shorter_under_a_worker_goes_on_at_its_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REBALANCE_SHOWS", 0.5)
    worker = await desk.worker()
    worker.begin.set()
    await desk.write(*[0, 1] * 10)
    await worker.has(10, 10)
    await desk.commits(10, 10)
    # As if it had read more, of which the log knows nothing: the client asks for it, and is sent back.
    consumer: Any = worker.app.consumer
    worker.app.ledger[desk.topic, 0].next = 17
    await consumer.seek_wait({TP(desk.topic, 0): 17})
    await until(
        lambda: (desk.topic, 0) in worker.app.ledger and worker.app.ledger[desk.topic, 0].next == 10, PATIENCE
    )
    await desk.write(*[0] * 3)
    await worker.has(13, 10)
    assert worker.offsets(0)[10:] == [10, 11, 12]
    await desk.commits(13, 10)
