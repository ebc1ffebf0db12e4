"""What cannot be handled is written down with its reason, and what is heavy or private stays where it is."""

import asyncio

import pytest
from machine import patience
from makers import KeptDelivery, make_received

from app.kafka.dead_letters import DeadLetters
from app.messages import DeadLetter, MessageError, decode
from app.metrics import Metrics
from app.settings import Settings
from app.topics import Topics

TOPICS = Topics(Settings())


class Desk:
    """Dead letters, and what was written of them."""

    def __init__(self) -> None:
        self.delivery, self.metrics = KeptDelivery(), Metrics()
        self.dead_letters = DeadLetters(self.delivery, TOPICS, self.metrics)

    def letter(self) -> DeadLetter:
        (kept,) = self.delivery.of(TOPICS.dead_letters)
        dead = decode(DeadLetter, kept.value)
        assert kept.key == dead.key
        return dead

    def counted(self, topic: str, reason: str) -> float | None:
        labels = {"topic": topic, "reason": reason}
        return self.metrics.registry.get_sample_value("onlooker_dead_letters_total", labels)


async def test_a_small_message_travels_with_its_letter(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    message = make_received(b"secret", topic="sightings", partition=2, offset=9, key=b"door")
    await desk.dead_letters.send(message, "malformed", "no sighting")
    dead = desk.letter()
    assert (dead.topic, dead.partition, dead.offset, dead.key) == ("sightings", 2, 9, b"door")
    assert (dead.reason, dead.detail, dead.value) == ("malformed", "no sighting", b"secret")
    assert desk.counted("sightings", "malformed") == 1
    assert "sightings 2:9 is a dead letter: no sighting" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("value", [None, b"x" * 100_000], ids=["nothing", "large"])
async def test_what_is_large_stays_where_it_is(value: bytes | None) -> None:
    desk = Desk()
    await desk.dead_letters.send(make_received(value, topic="sightings", key=None), "x", "y")
    assert (desk.letter().value, desk.letter().key) == (None, None)


@pytest.mark.parametrize("topic", ["frames", "recordings", "faces", "enrolments", "checkpoints"])
async def test_a_picture_or_an_embedding_stays_where_it_is(topic: str) -> None:
    desk = Desk()
    await desk.dead_letters.send(make_received(b"small", topic=topic), "x", "y")
    assert desk.letter().value is None


async def test_a_long_key_is_cut() -> None:
    desk = Desk()
    await desk.dead_letters.send(make_received(key=b"k" * 5000), "x", "y")
    assert desk.letter().key == b"k" * 256


async def test_who_sends_one_waits_until_it_is_written() -> None:
    desk = Desk()
    desk.delivery.open.clear()
    sending = asyncio.create_task(desk.dead_letters.send(make_received(), "x", "y"))
    async with patience(20):
        while not desk.counted("frames", "x"):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert not sending.done()
    desk.delivery.open.set()
    await sending
    assert desk.letter().reason == "x"


async def test_a_message_that_is_none_keeps_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    error = MessageError("unknown-schema", "of schema 2")
    await desk.dead_letters.send_failed(make_received(), error)
    assert (desk.letter().reason, desk.letter().detail) == ("unknown-schema", "of schema 2")
    assert "could not be handled" not in caplog.text


async def test_what_nobody_foresaw_is_logged_and_its_text_goes_no_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    await desk.dead_letters.send_failed(make_received(offset=4), ValueError("of somebody's face"))
    assert (desk.letter().reason, desk.letter().detail) == ("internal-error", "ValueError")
    assert "frames 0:4 could not be handled" in caplog.text
    assert "ValueError: of somebody's face" in caplog.text
