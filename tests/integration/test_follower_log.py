"""The follower where the log itself is gone for a while, has holes, or is another one than before."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError
from cluster import read_topic
from conftest import run_apart, running_broker
from machine import patience

from app.broker import Broker
from app.kafka.follower import Follower
from app.settings import Settings
from app.topics import TopicSpec

Start = Callable[..., "Reader"]


@pytest.fixture(scope="module")
def own_kafka(jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("followed"), jars) as kafka:
        yield kafka


@pytest.fixture
def kafka(own_kafka: Broker) -> Broker:
    """Return a Kafka that may be ended and started again: nothing else is on it."""
    # A test that failed may have left it as it was then.
    run_apart(own_kafka.start())
    return own_kafka


async def end(kafka: Broker) -> None:
    await asyncio.to_thread(run_apart, kafka.stop())


async def begin(kafka: Broker) -> None:
    await asyncio.to_thread(run_apart, kafka.start())


class Reader:
    """A follower that runs, and what it has handed over."""

    def __init__(self, kafka: Broker, topic: TopicSpec, positions: dict[int, int]) -> None:
        self.topic = topic
        self.handed: list[tuple[int, int, bytes | None]] = []
        #: Where closed, what is handed over is not handled.
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()
        self._settings = Settings(broker=kafka.url)
        self.follower = Follower(self._settings, topic, positions, self._handle)
        self.task = asyncio.create_task(self.follower.run())

    @property
    def values(self) -> list[bytes | None]:
        return [value for _, _, value in self.handed]

    async def caught_up(self) -> None:
        """Wait until it has all of every partition; what ends the follower meanwhile is raised."""
        wanted = [self.follower.caught_up(number) for number in range(self.topic.partitions)]
        waiting = asyncio.gather(*wanted)
        async with patience(90):
            await asyncio.wait((waiting, self.task), return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            waiting.cancel()
            await self.task
        await waiting

    async def _handle(self, records: "list[ConsumerRecord[bytes, bytes]]") -> None:
        if records:
            self.entered.set()
            await self.open.wait()
        self.handed += [(record.partition, record.offset, record.value) for record in records]


@pytest.fixture
async def follow() -> AsyncIterator[Start]:
    readers: list[Reader] = []

    def start(kafka: Broker, topic: TopicSpec, positions: dict[int, int] | None = None) -> Reader:
        readers.append(Reader(kafka, topic, positions or {}))
        return readers[-1]

    yield start
    for reader in readers:
        reader.task.cancel()
    await asyncio.gather(*(reader.task for reader in readers), return_exceptions=True)


def spec(partitions: int = 1) -> TopicSpec:
    return TopicSpec(f"followed-{uuid4().hex[:8]}", "", "anything", partitions)


async def make(kafka: Broker, topic: TopicSpec, **config: str) -> None:
    """Make a topic; one of its name that is on its way out is waited for."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    options = {name.replace("_", "."): value for name, value in config.items()}
    try:
        async with patience(60):
            while True:
                answer = await admin.create_topics(
                    [NewTopic(topic.name, topic.partitions, 1, topic_configs=options)]
                )
                ((_, code, *_),) = answer.topic_errors
                if code != TopicAlreadyExistsError.errno:
                    assert code == 0, answer
                    return
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def remove(kafka: Broker, topic: TopicSpec) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.delete_topics([topic.name])
    await admin.close()


async def write(
    kafka: Broker, topic: TopicSpec, *values: bytes, partition: int = 0, key: bytes = b"k"
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(topic.name, value, key, partition=partition)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with patience(90):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_reading_goes_on_when_the_broker_comes_back(kafka: Broker, follow: Start) -> None:
    topic = spec(partitions=2)
    await make(kafka, topic)
    await write(kafka, topic, b"a0", b"a1")
    await write(kafka, topic, b"b0", partition=1)
    reader = follow(kafka, topic)
    await reader.caught_up()
    assert reader.follower.complete

    await end(kafka)
    # It is asked while nobody answers, and answers when somebody does.
    asked = asyncio.create_task(reader.caught_up())
    await begin(kafka)
    await write(kafka, topic, b"a2")
    await write(kafka, topic, b"b1", partition=1)
    await asked
    await reader.caught_up()
    assert reader.follower.complete
    # Nothing is passed over, nothing handed over twice, and each partition in its order.
    assert [value for number, _, value in reader.handed if number == 0] == [b"a0", b"a1", b"a2"]
    assert [value for number, _, value in reader.handed if number == 1] == [b"b0", b"b1"]


async def test_a_broker_that_is_not_there_yet_is_waited_for(
    kafka: Broker, follow: Start, caplog: pytest.LogCaptureFixture
) -> None:
    topic = spec()
    await make(kafka, topic)
    await write(kafka, topic, b"a0", b"a1", b"a2")
    await end(kafka)
    reader = follow(kafka, topic, {0: 1})

    async def has_tried() -> bool:
        return any("cannot follow" in text for text in caplog.messages)

    await until(has_tried)
    assert not reader.follower.complete
    assert not reader.task.done()
    await begin(kafka)
    await reader.caught_up()
    assert reader.follower.complete
    assert reader.values == [b"a1", b"a2"]


async def test_a_shorter_log_than_was_read_is_another_one_and_read_from_its_start(
    kafka: Broker, follow: Start
) -> None:
    topic = spec()
    await make(kafka, topic)
    await write(kafka, topic, b"new0", b"new1")
    reader = follow(kafka, topic, {0: 40})
    await reader.caught_up()
    assert reader.follower.complete
    assert reader.values == [b"new0", b"new1"]


async def test_a_topic_made_anew_meanwhile_is_read_from_its_start(kafka: Broker, follow: Start) -> None:
    topic = spec()
    await make(kafka, topic)
    await write(kafka, topic, *(b"old%d" % number for number in range(5)))
    reader = follow(kafka, topic)
    await reader.caught_up()
    await remove(kafka, topic)
    await make(kafka, topic)
    await write(kafka, topic, b"new0", b"new1")

    async def all_there() -> bool:
        assert not reader.task.done()
        return reader.values[5:] == [b"new0", b"new1"]

    await until(all_there)
    await write(kafka, topic, b"new2")
    await reader.caught_up()
    assert reader.values[5:] == [b"new0", b"new1", b"new2"]


async def test_holes_that_compaction_leaves_are_passed_over(broker: Broker, follow: Start) -> None:
    topic = spec()
    settings = Settings(broker=broker.url)
    await make(
        broker, topic, cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.001",
        min_compaction_lag_ms="0", max_compaction_lag_ms="100",
    )  # fmt: skip
    await write(broker, topic, *(b"first%d" % number for number in range(20)), key=b"first")
    await write(broker, topic, *(b"second%d" % number for number in range(20)), key=b"second")

    async def compacted() -> bool:
        # A segment ends only when something is written after its time.
        await write(broker, topic, b"last", key=b"last")
        await asyncio.sleep(0.5)
        offsets = [record.offset for record in await read_topic(settings, topic)]
        return 19 in offsets and not set(range(19)) & set(offsets)

    await until(compacted)
    reader, late = follow(broker, topic), follow(broker, topic, {0: 25})
    for one in (reader, late):
        await one.caught_up()
        assert one.follower.complete
    assert [value for value in reader.values if value != b"last"] == [b"first19", b"second19"]
    assert late.values == [value for _, offset, value in reader.handed if offset >= 25]
    assert late.handed[0][1:] == (39, b"second19")


async def test_caught_up_is_when_it_has_been_handled(broker: Broker, follow: Start) -> None:
    topic = spec()
    await make(broker, topic)
    reader = follow(broker, topic)
    await reader.caught_up()
    reader.open.clear()
    await write(broker, topic, b"a0", b"a1")
    async with patience(60):
        await reader.entered.wait()
    # Complete is what was there when it began, caught up is what is there now.
    assert reader.follower.complete
    order: list[str] = []

    async def ask() -> None:
        await reader.caught_up()
        order.append("caught up")
        assert reader.values == [b"a0", b"a1"]

    asked = asyncio.create_task(ask())
    # One who asks of another partition's follower, later, is answered: there was time for this one.
    other = follow(broker, topic)
    await other.caught_up()
    order.append("the other")
    reader.open.set()
    await asked
    assert order == ["the other", "caught up"]
