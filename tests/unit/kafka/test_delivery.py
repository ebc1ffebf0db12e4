"""What is posted is delivered or an error, in the order of its partition, however often that takes."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    ProducerClosed,
)
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st
from machine import patience

from app.kafka import delivery as module
from app.kafka.delivery import KafkaDelivery, Position
from app.settings import Settings
from app.topics import MAX_MESSAGE_BYTES, TopicSpec

TOPIC = TopicSpec("news", "stream", "anything", partitions=3)
BAD = b"a message that nobody takes"

Message = tuple[bytes | None, bytes]


class Batch:
    """A batch of aiokafka's, with what it has taken."""

    def __init__(self, size: int) -> None:
        self._builder = BatchBuilder(size, 0)
        self.messages: list[Message] = []

    def append(self, *, key: bytes | None, value: bytes, timestamp: None) -> Any:
        taken = self._builder.append(key=key, value=value, timestamp=timestamp)
        if taken is not None:
            self.messages.append((key, value))
        return taken

    def close(self) -> None:
        self._builder.close()

    @property
    def closed(self) -> bool:
        return bool(self._builder.closed())


class Kafka:
    """A broker, as far as its producers see it."""

    def __init__(self) -> None:
        self.logs: dict[int, list[Message]] = defaultdict(list)
        #: Offset of the first record of each partition.
        self.begin = 0
        #: Each batch that was sent, also those that failed.
        self.batches: list[list[Message]] = []
        #: What the next sends, and the next connections, fail with.
        self.errors: list[Exception] = []
        self.refusals: list[Exception] = []
        self.producers: list[Producer] = []
        #: Clear it, and what is sent is under way until it is set again.
        self.open = asyncio.Event()
        self.open.set()

    def producer(self, _: Settings, **options: Any) -> "Producer":
        self.producers.append(Producer(self, options))
        return self.producers[-1]

    def values(self, partition: int) -> list[bytes]:
        return [value for _, value in self.logs[partition]]

    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


class Producer:
    """A connection to it."""

    def __init__(self, kafka: Kafka, options: dict[str, Any]) -> None:
        self._kafka = kafka
        self.options = options
        self.running = False
        self.stopped = False
        #: It never lets go of the broker by itself.
        self.clings = False

    async def start(self) -> None:
        if self._kafka.refusals:
            raise self._kafka.refusals.pop(0)
        self.running = True

    async def stop(self) -> None:
        self.running, self.stopped = False, True
        if self.clings:
            await asyncio.Event().wait()

    def create_batch(self) -> Batch:
        return Batch(self.options["max_batch_size"])

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        assert self.running
        assert batch.closed
        assert topic == TOPIC.name
        self._kafka.batches.append(batch.messages)
        return asyncio.ensure_future(self._land(batch.messages, partition))

    async def _land(self, messages: Sequence[Message], partition: int) -> Any:
        await self._kafka.open.wait()
        if self._kafka.errors:
            raise self._kafka.errors.pop(0)
        if any(value == BAD for _, value in messages):
            raise MessageSizeTooLargeError
        log = self._kafka.logs[partition]
        log.extend(messages)
        return SimpleNamespace(offset=self._kafka.begin + len(log) - len(messages))


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    kafka = Kafka()
    monkeypatch.setattr(module, "make_producer", kafka.producer)
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.001)
    return kafka


@pytest.fixture
async def delivery(kafka: Kafka) -> AsyncIterator[KafkaDelivery]:
    delivery = KafkaDelivery(Settings())
    yield delivery
    kafka.open.set()
    async with patience(20):
        await delivery.close(3)


def post(delivery: KafkaDelivery, *values: bytes, partition: int = 0) -> "list[asyncio.Future[Position]]":
    return [delivery.post(TOPIC, b"door", value, partition) for value in values]


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def until(true: Callable[[], object]) -> None:
    async with patience(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_message_lands_and_its_place_is_known(kafka: Kafka, delivery: KafkaDelivery) -> None:
    kafka.begin = 17
    assert await delivery.send(TOPIC, b"door", b"value", 2) == Position(2, 17)
    assert kafka.logs == {2: [(b"door", b"value")]}


async def test_all_partitions_share_a_connection_that_waits_for_every_replica(
    kafka: Kafka, delivery: KafkaDelivery
) -> None:
    await asyncio.gather(*(delivery.send(TOPIC, None, b"value", number) for number in range(3)))
    (producer,) = kafka.producers
    assert producer.options["acks"] == "all"
    assert producer.options["max_request_size"] == MAX_MESSAGE_BYTES
    assert [kafka.values(number) for number in range(3)] == [[b"value"]] * 3


@given(key=st.none() | st.binary(max_size=80), partitions=st.integers(1, 40))
def test_a_key_goes_where_every_client_of_kafka_puts_it(key: bytes | None, partitions: int) -> None:
    topic = TopicSpec("news", "stream", "anything", partitions)
    numbers = list(range(partitions))
    expected = 0 if key is None else DefaultPartitioner()(key, numbers, numbers)
    assert module._partition_of(topic, key) == expected


async def test_a_message_without_a_partition_goes_to_that_of_its_key(
    kafka: Kafka, delivery: KafkaDelivery
) -> None:
    places = [await delivery.send(TOPIC, key, b"value") for key in (b"door", b"yard", b"hall")]
    expected = [DefaultPartitioner()(key, [0, 1, 2], [0, 1, 2]) for key in (b"door", b"yard", b"hall")]
    assert [place.partition for place in places] == expected
    assert len(set(expected)) > 1


async def test_what_comes_while_a_send_is_under_way_goes_together(
    kafka: Kafka, delivery: KafkaDelivery
) -> None:
    kafka.begin = 40
    kafka.open.clear()
    landed = post(delivery, b"0")
    await until(lambda: kafka.batches)
    landed += post(delivery, *numbered(10)[1:])
    kafka.open.set()
    assert await asyncio.gather(*landed) == [Position(0, 40 + number) for number in range(10)]
    assert kafka.sizes() == [1, 9]
    assert kafka.values(0) == numbered(10)


async def test_partitions_do_not_wait_for_each_other(kafka: Kafka, delivery: KafkaDelivery) -> None:
    kafka.open.clear()
    landed = [*post(delivery, b"0"), *post(delivery, b"1", partition=1)]
    await until(lambda: len(kafka.batches) == 2)
    assert not any(future.done() for future in landed)
    kafka.open.set()
    await asyncio.gather(*landed)


async def test_a_batch_takes_no_more_than_fits(kafka: Kafka, delivery: KafkaDelivery) -> None:
    """What a batch has no room for, it drops without a word."""
    kafka.open.clear()
    sizes = [10, 2**21, 2**19, 2**18, 2**18, 2**18, *[3000] * 400, 2**22, 1, 1]
    values = [b"%d" % number + b"." * size for number, size in enumerate(sizes)]
    landed = post(delivery, *values)
    kafka.open.set()
    places = await asyncio.gather(*landed)
    assert kafka.values(0) == values
    assert [place.offset for place in places] == list(range(len(values)))
    assert all(len(batch) == 1 or sum(len(value) for _, value in batch) < 2**20 for batch in kafka.batches)
    assert len(kafka.batches) < 15


@pytest.mark.parametrize(
    "error",
    [KafkaConnectionError(), NotLeaderForPartitionError(), KafkaTimeoutError(), OSError("no route to host")],
    ids=lambda error: type(error).__name__,
)
async def test_nothing_overtakes_what_is_sent_again(
    error: Exception, kafka: Kafka, delivery: KafkaDelivery
) -> None:
    kafka.open.clear()
    landed = post(delivery, b"0", b"1")
    await until(lambda: kafka.batches)
    kafka.errors = [error] * 3
    kafka.open.set()
    await until(lambda: not kafka.errors)
    landed += post(delivery, b"2")
    assert await asyncio.gather(*landed) == [Position(0, 0), Position(0, 1), Position(0, 2)]
    assert kafka.values(0) == numbered(3)
    assert kafka.batches[0] == kafka.batches[1] == kafka.batches[3] == [(b"door", b"0"), (b"door", b"1")]


async def test_a_broker_that_does_not_answer_is_asked_again(
    kafka: Kafka, delivery: KafkaDelivery, caplog: pytest.LogCaptureFixture
) -> None:
    kafka.refusals = [KafkaConnectionError(), OSError("no route to host")]
    assert await delivery.send(TOPIC, b"door", b"value", 0) == Position(0, 0)
    assert [producer.stopped for producer in kafka.producers] == [True, True, False]
    assert "cannot write to news: " in caplog.text
    assert "no route to host; trying again in" in caplog.text


@pytest.mark.parametrize("error", [MessageSizeTooLargeError(), ProducerClosed()])
async def test_what_will_never_be_taken_is_an_error(
    error: Exception, kafka: Kafka, delivery: KafkaDelivery
) -> None:
    kafka.errors = [error]
    with pytest.raises(type(error)):
        await delivery.send(TOPIC, b"door", b"value", 0)
    assert await delivery.send(TOPIC, b"door", b"next", 0) == Position(0, 0)


async def test_a_message_that_nobody_takes_fails_alone(kafka: Kafka, delivery: KafkaDelivery) -> None:
    landed = post(delivery, b"0", b"1", BAD, b"2", BAD, b"3")
    found = await asyncio.gather(*landed, return_exceptions=True)
    assert [isinstance(one, MessageSizeTooLargeError) for one in found] == [
        False, False, True, False, True, False,
    ]  # fmt: skip
    assert [one for one in found if isinstance(one, Position)] == [Position(0, at) for at in range(4)]
    assert kafka.values(0) == numbered(4)
    await delivery.send(TOPIC, b"door", b"4", 0)
    assert kafka.values(0) == numbered(5)


async def test_one_that_is_sent_alone_is_sent_again_too(kafka: Kafka, delivery: KafkaDelivery) -> None:
    kafka.errors = [MessageSizeTooLargeError(), KafkaConnectionError(), KafkaConnectionError()]
    assert await asyncio.gather(*post(delivery, b"0", b"1")) == [Position(0, 0), Position(0, 1)]
    assert kafka.values(0) == numbered(2)


async def test_who_no_longer_waits_does_no_harm(kafka: Kafka, delivery: KafkaDelivery) -> None:
    kafka.open.clear()
    landed = post(delivery, b"0")
    await until(lambda: kafka.batches)
    landed += post(delivery, b"1", BAD, b"2")
    waiting = asyncio.create_task(delivery.send(TOPIC, b"door", b"3", 0))
    await asyncio.sleep(0)
    for gone in (landed[0], landed[1], landed[2], waiting):
        gone.cancel()
    kafka.open.set()
    assert await landed[3] == Position(0, 2)
    await delivery.send(TOPIC, b"door", b"4", 0)
    assert kafka.values(0) == numbered(5)
    assert waiting.cancelled()


async def test_what_is_on_its_way_may_arrive_before_it_closes(kafka: Kafka, delivery: KafkaDelivery) -> None:
    kafka.open.clear()
    landed = post(delivery, *numbered(4))
    closing = asyncio.create_task(delivery.close(3))
    await until(lambda: kafka.batches)
    assert not closing.done()
    kafka.open.set()
    await closing
    assert [await future for future in landed] == [Position(0, number) for number in range(4)]
    assert [producer.stopped for producer in kafka.producers] == [True]


@pytest.mark.parametrize("refused", [False, True], ids=["together", "one by one"])
async def test_closing_gives_up_after_a_moment_and_nobody_waits_for_ever(
    refused: bool, kafka: Kafka, delivery: KafkaDelivery
) -> None:
    kafka.open.clear()
    landed = post(delivery, b"0", BAD if refused else b"1", b"2")
    await until(lambda: kafka.batches)
    landed += post(delivery, b"3", b"4")
    if refused:
        # The group fails at once, and its first message never arrives.
        kafka.open.set()
        await until(lambda: len(kafka.batches) > 1)
        kafka.open.clear()
    kafka.producers[0].clings = True
    async with patience(20):
        await delivery.close(0.05)
        await asyncio.wait(landed)
    assert [future.cancelled() for future in landed[-4:]] == [True] * 4
    assert kafka.producers[0].stopped


async def test_closing_what_was_never_used_connects_to_nothing(kafka: Kafka, delivery: KafkaDelivery) -> None:
    await delivery.close(3)
    assert kafka.producers == []


#: A message, by its partition and whether nobody takes it; or that the next send fails; or a moment.
steps = st.lists(
    st.tuples(st.integers(0, 2), st.booleans()) | st.sampled_from(["fail", "moment", "close", "open"]),
    max_size=40,
)


@given(steps=steps)
def test_whatever_happens_each_partition_is_in_order(steps: Sequence[Any]) -> None:
    async def run() -> None:
        kafka, delivery = Kafka(), KafkaDelivery(Settings())
        posted: list[tuple[int, bytes, asyncio.Future[Position]]] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "make_producer", kafka.producer)
            patch.setattr(module, "_FIRST_WAIT", 0.0)
            for number, step in enumerate(steps):
                match step:
                    case "fail":
                        kafka.errors.append(NotLeaderForPartitionError())
                    case "moment":
                        await asyncio.sleep(0.0005)
                    case "close":
                        kafka.open.clear()
                    case "open":
                        kafka.open.set()
                    case (partition, bad):
                        value = BAD if bad else b"%d" % number
                        posted.append((partition, value, delivery.post(TOPIC, b"door", value, partition)))
            kafka.open.set()
            async with patience(20):
                found = await asyncio.gather(*(one for _, _, one in posted), return_exceptions=True)
                await delivery.close(3)
        for number in range(3):
            mine = [
                (value, place)
                for (at, value, _), place in zip(posted, found, strict=True)
                if at == number and value != BAD
            ]
            assert kafka.values(number) == [value for value, _ in mine]
            assert [place for _, place in mine] == [Position(number, offset) for offset in range(len(mine))]
        bad = [place for (_, value, _), place in zip(posted, found, strict=True) if value == BAD]
        assert all(isinstance(place, MessageSizeTooLargeError) for place in bad)

    asyncio.run(run())
