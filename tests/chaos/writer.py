"""What writes the script to Kafka, and takes note of what Kafka has acknowledged."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from chaos.scenario import PERIOD, Script, Shot, partition_of
from standin_nets import SIDE

from app.messages import Frame, encode_frame
from app.settings import Settings
from app.topics import MAX_MESSAGE_BYTES, Topics

__all__ = ["Message", "Place", "Raw", "Writer", "frame_of"]

#: Milliseconds for which a message is kept while no broker takes it: longer than any is away here.
_PATIENCE = 600_000
#: Bytes that are kept for each partition.
_KEPT = 4 * 2**20


class Place(NamedTuple):
    """Where a message is on the log."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic} {self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class Raw:
    """What a source writes that is out of order; `reason` is that of the dead letter it must become."""

    stream: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    reason: str


Message = Shot | Raw


class Writer:
    """Writes to the topic of recordings, in a thread of its own: a test may wait for other things."""

    def __init__(self, settings: Settings, script: Script) -> None:
        self._settings = settings
        self._script = script
        self._topic = Topics(settings).lane(live=False)
        #: What Kafka has acknowledged; the messages of a stream are in the order of the log.
        self.sent: dict[Place, Message] = {}

    def write(self, rounds: Iterable[Sequence[Message]]) -> None:
        """Write what is given, as fast as Kafka takes it."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, self._write(rounds, 0)).result()

    @contextmanager
    def writing(self, rate: float) -> Iterator[None]:
        """Write so many rounds of the script a second for as long as this is a context."""
        ended = Event()
        with ThreadPoolExecutor(1) as thread:
            writing = thread.submit(asyncio.run, self._write(self._rounds_until(ended), 1 / rate))
            try:
                yield
            finally:
                ended.set()
            writing.result()

    def _rounds_until(self, ended: Event) -> Iterator[list[Shot]]:
        while not ended.is_set():
            yield from self._script.rounds(1)

    async def _write(self, rounds: Iterable[Sequence[Message]], every: float) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.bootstrap,
            enable_idempotence=True,
            request_timeout_ms=_PATIENCE,
            # What is seen while the broker is away is kept.
            max_batch_size=_KEPT,
            max_request_size=MAX_MESSAGE_BYTES,
        )
        waiting: list[tuple[Message, asyncio.Future]] = []
        async with producer:
            for messages in rounds:
                for message in messages:
                    waiting.append((message, await self._send(producer, message)))
                await asyncio.sleep(every)
            await producer.flush()
            for message, acknowledged in waiting:
                done = await acknowledged
                self.sent[Place(done.topic, done.partition, done.offset)] = message

    async def _send(self, producer: AIOKafkaProducer, message: Message) -> asyncio.Future:
        """Hand over a message for the partition that the default partitioner chooses for its stream."""
        partition = partition_of(message.stream, self._topic.partitions)
        if isinstance(message, Raw):
            key, value, headers = message.stream.encode(), message.value, [*message.headers]
        else:
            key, value, headers = encode_frame(frame_of(message))
        return await producer.send(self._topic.name, value, key, partition, headers=headers)


def frame_of(shot: Shot) -> Frame:
    """Return the frame that stands for a shot."""
    return Frame(
        stream=shot.stream,
        seq=shot.seq,
        captured=shot.captured,
        pts=shot.seq * PERIOD,
        width=SIDE,
        height=SIDE,
        live=False,
        jpeg=shot.jpeg,
    )
