"""What is written is delivered or an error; what cannot be handled is written down with its reason."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
)
from faust.exceptions import ProducerSendError
from makers import KeptDelivery

from app.kafka import delivery as module
from app.kafka.dead_letters import DeadLetters, Received
from app.kafka.delivery import KafkaDelivery, Position
from app.messages import DeadLetter, decode
from app.metrics import Metrics
from app.settings import Settings
from app.topics import Topics

TOPICS = Topics(Settings())


class Producer:
    """A producer that fails with these errors, one after the other, and then delivers."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.sent: list[tuple[Any, ...]] = []

    async def send_and_wait(self, *message: Any) -> Any:
        if self._errors:
            raise self._errors.pop(0)
        self.sent.append(message)
        return SimpleNamespace(partition=3, offset=17)


def delivering(producer: Producer) -> KafkaDelivery:
    async def maybe_start_producer() -> Producer:
        return producer

    app: Any = SimpleNamespace(maybe_start_producer=maybe_start_producer)
    return KafkaDelivery(app)


def wrapped(cause: Exception) -> ProducerSendError:
    error = ProducerSendError("cannot send")
    error.__cause__ = cause
    return error


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.001)


async def test_a_message_lands_and_its_place_is_known() -> None:
    producer = Producer()
    place = await delivering(producer).put(TOPICS.faces, b"door", b"value", 3)
    assert place == Position(3, 17)
    assert producer.sent == [("faces", b"door", b"value", 3, None, None)]


@pytest.mark.parametrize(
    "error",
    [
        KafkaConnectionError(), NotLeaderForPartitionError(), wrapped(KafkaConnectionError()),
        KafkaTimeoutError(), wrapped(KafkaTimeoutError()),
    ],
)  # fmt: skip
async def test_it_tries_again_while_the_broker_is_away(error: Exception) -> None:
    producer = Producer(error, error, error)
    await delivering(producer).put(TOPICS.faces, b"door", b"value")
    assert len(producer.sent) == 1


@pytest.mark.parametrize("error", [MessageSizeTooLargeError(), wrapped(MessageSizeTooLargeError())])
async def test_what_will_never_be_taken_is_an_error(error: Exception) -> None:
    with pytest.raises(type(error)):
        await delivering(Producer(error)).put(TOPICS.faces, b"door", b"value")


async def test_waiting_for_the_broker_can_be_cancelled() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await delivering(Producer(*[KafkaConnectionError()] * 1000)).put(TOPICS.faces, None, b"")


def counted(metrics: Metrics, topic: str, reason: str) -> float | None:
    labels = {"topic": topic, "reason": reason}
    return metrics.registry.get_sample_value("onlooker_dead_letters_total", labels)


async def test_a_small_message_travels_with_its_letter(caplog: pytest.LogCaptureFixture) -> None:
    delivery, metrics = KeptDelivery(), Metrics()
    dead_letters = DeadLetters(delivery, TOPICS, metrics)
    await dead_letters.send(Received("faces", 2, 9, b"door", b"secret"), "malformed", "no faces")
    (kept,) = delivery.of(TOPICS.dead_letters)
    dead = decode(DeadLetter, kept.value)
    assert (dead.topic, dead.partition, dead.offset, dead.key) == ("faces", 2, 9, b"door")
    assert (dead.reason, dead.detail, dead.value) == ("malformed", "no faces", b"secret")
    assert kept.key == b"door"
    assert counted(metrics, "faces", "malformed") == 1
    assert "faces 2:9" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("topic", "value"), [("faces", None), ("faces", b"x" * 100_000), ("frames", b"a small picture")]
)
async def test_a_frame_or_a_large_message_stays_where_it_is(topic: str, value: bytes | None) -> None:
    delivery = KeptDelivery()
    await DeadLetters(delivery, TOPICS, Metrics()).send(Received(topic, 0, 1, None, value), "x", "y")
    dead = decode(DeadLetter, delivery.of(TOPICS.dead_letters)[0].value)
    assert (dead.value, dead.key) == (None, None)


async def test_a_long_key_is_cut() -> None:
    delivery = KeptDelivery()
    await DeadLetters(delivery, TOPICS, Metrics()).send(Received("frames", 0, 1, b"k" * 5000, b""), "x", "y")
    assert decode(DeadLetter, delivery.of(TOPICS.dead_letters)[0].value).key == b"k" * 256
