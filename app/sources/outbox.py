"""Frames on their way to Kafka: a bounded number at once, in order, each one accounted for."""

import asyncio
import logging
import math
import time
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownProducerId,
)

from app.errors import OnlookerError
from app.kafka import check_access, make_producer
from app.messages import Frame, encode_frame
from app.settings import Settings
from app.sources.base import SourceError
from app.sources.summary import Summary
from app.topics import MAX_MESSAGE_BYTES

__all__ = ["Outbox"]

_LOG = logging.getLogger(__name__)
#: Seconds to reach the broker in, at the beginning.
_CONNECT = 10.0
#: Seconds without an answer after which the log says so.
_SILENCE = 3.0
#: Seconds given, at the end, to frames that are still on their way.
_GRACE = 3.0
#: Seconds that the broker may take to answer a request.
_ANSWER = 10.0
#: Seconds between two tries to connect.
_PAUSE = 0.3
#: Kafka and a producer do not agree on how many were sent: it takes nothing more from that one.
_MISCOUNTED = (OutOfOrderSequenceNumber, UnknownProducerId, InvalidProducerEpoch, ProducerFenced)


class _Message(NamedTuple):
    """A frame in the form that Kafka takes."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class Outbox:
    """Sends frames through an idempotent producer; enter it to connect, leave it to end.

    The producer tries again until the broker takes a frame, and the broker drops what it has already:
    a broker that goes away and comes back costs neither frames nor their order. One that comes back without
    the last frames that it took, as after a loss of power, refuses all that follow from the same producer:
    a new one sends them again.

    Raises:
        SourceError: on entering, the broker does not answer in time.
        AccessError: on entering, it does not let us in.
    """

    def __init__(self, settings: Settings, topic: str, limit: int, summary: Summary) -> None:
        self._settings = settings
        self._topic = topic
        self._summary = summary
        self._free = asyncio.Semaphore(limit)
        self._pending: set[asyncio.Future[object]] = set()
        #: What has to be sent again, by a new producer.
        self._unsent: list[_Message] = []
        self._renewal: asyncio.Task[None] | None = None
        #: Held while something is handed to the producer: nothing overtakes what is sent again.
        self._order = asyncio.Lock()
        self._producer: AIOKafkaProducer
        self._watcher: asyncio.Task[None]
        self._answered = 0.0
        self._silent = False

    async def __aenter__(self) -> Self:
        self._producer = await self._connect()
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await self.delivered()
        self._watcher.cancel()
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
        if lost := len(self._pending) + len(self._unsent):
            self._summary.errors["not-delivered"] += lost
        await _stop(self._producer, deliver=not lost)

    async def room(self) -> None:
        """Wait until one more frame may be sent."""
        await self._free.acquire()
        self._free.release()

    async def send(self, frame: Frame) -> None:
        """Put `frame` on its way.

        Raises:
            SourceError: Kafka will take no more frames, now or later.
        """
        message = _Message(*encode_frame(frame))
        await self._free.acquire()
        try:
            async with self._order:
                await self._hand_over(message)
        except BaseException:
            self._free.release()
            raise

    async def delivered(self) -> None:
        """Wait until nothing is on its way."""
        while self._pending or self._unsent:
            if self._renewal is not None:
                await asyncio.wait([self._renewal])
            if self._pending:
                await asyncio.wait(self._pending)

    async def _hand_over(self, message: _Message) -> None:
        future = await self._enqueue(message)
        if not self._pending:
            self._answered = time.monotonic()
        self._pending.add(future)
        self._count()
        future.add_done_callback(lambda done: self._settle(done, message))

    async def _enqueue(self, message: _Message) -> asyncio.Future[object]:
        while True:
            try:
                future: asyncio.Future[object] = await self._producer.send(
                    self._topic, message.value, message.key, headers=message.headers
                )
                return future
            except KafkaTimeoutError:
                # The producer's buffer is full because the broker is away: wait for it.
                continue
            except KafkaError as error:
                raise SourceError(f"Kafka takes no frames for {self._topic}: {_explain(error)}") from None

    def _settle(self, done: asyncio.Future[object], message: _Message) -> None:
        self._pending.discard(done)
        error = None if done.cancelled() else done.exception()
        if isinstance(error, _MISCOUNTED):
            self._send_again(message)
            return
        self._free.release()
        self._count()
        if done.cancelled() or error:
            self._summary.errors[type(error).__name__ if error else "cancelled"] += 1
            return
        self._summary.sent += 1
        self._summary.bytes += len(message.value)
        self._answered = time.monotonic()
        if self._silent:
            self._silent = False
            _LOG.info("Kafka answers again")

    def _count(self) -> None:
        self._summary.pending = len(self._pending) + len(self._unsent)

    def _send_again(self, message: _Message) -> None:
        """Send what Kafka refused for its number, after those that were refused before it."""
        self._unsent.append(message)
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        async with self._order:
            while self._unsent:
                while self._pending:
                    await asyncio.wait(self._pending)
                _LOG.warning(
                    "Kafka has not kept count of what was sent to %s: sending %d frames again",
                    self._topic,
                    len(self._unsent),
                )
                await _stop(self._producer, deliver=False)
                self._producer = await self._connect_at_last()
                for _ in range(len(self._unsent)):
                    # Taken away when it is on its way: who ends meanwhile counts what is not.
                    await self._hand_over_again(self._unsent[0])
                    del self._unsent[0]
                    self._count()

    async def _hand_over_again(self, message: _Message) -> None:
        try:
            await self._hand_over(message)
        except SourceError:
            # Whoever sends the next one is told.
            self._free.release()
            self._summary.errors["not-delivered"] += 1

    async def _connect_at_last(self) -> AIOKafkaProducer:
        while True:
            try:
                return await self._connect()
            except OnlookerError as error:
                _LOG.warning("%s; trying again", error)
                await asyncio.sleep(_PAUSE)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_SILENCE / 3)
            waited = time.monotonic() - self._answered
            if self._pending and waited > _SILENCE and not self._silent:
                self._silent = True
                addresses = ", ".join(self._settings.bootstrap)
                _LOG.warning(
                    "Kafka at %s does not answer; %d frames wait for it", addresses, len(self._pending)
                )

    async def _connect(self) -> AIOKafkaProducer:
        deadline = time.monotonic() + _CONNECT
        while True:
            producer = make_producer(
                self._settings,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                # Several frames to a request, or each would wait for the answer to the one before.
                max_batch_size=2**20,
                max_request_size=MAX_MESSAGE_BYTES,
                request_timeout_ms=int(_ANSWER * 1000),
            )
            _keep_batches(producer)
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await producer.start()
                return producer
            except (KafkaError, OSError):
                await _stop(producer, deliver=False)
                await check_access(self._settings)
                if time.monotonic() + _PAUSE > deadline:
                    addresses = ", ".join(self._settings.bootstrap)
                    raise SourceError(
                        f"Kafka does not answer at {addresses}, tried for {_CONNECT:.0f} s"
                    ) from None
            except BaseException:
                await _stop(producer, deliver=False)
                raise
            await asyncio.sleep(_PAUSE)


def _keep_batches(producer: AIOKafkaProducer) -> None:
    """Let `producer` wait for a partition's leader, however long that takes.

    It promises that where it is idempotent; but what waits while no leader is known, as when the broker has
    just come back, it drops after `request_timeout_ms`. Its numbers have a gap then, and Kafka refuses all
    that follows (https://github.com/aio-libs/aiokafka/issues/1017).
    """
    producer._message_accumulator._batch_ttl = math.inf


async def _stop(producer: AIOKafkaProducer, *, deliver: bool) -> None:
    """End `producer`, which by itself would wait without limit for a broker that is away."""
    if not deliver:
        await producer.client.close()
        # Its own task would try for ever, and nothing public ends it without delivering first.
        if producer._sender.sender_task:
            producer._sender.sender_task.cancel()
    with suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(_GRACE if deliver else 0.5):
            await producer.stop()


def _explain(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
