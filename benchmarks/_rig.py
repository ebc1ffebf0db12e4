"""What benchmarks run on: a real broker, workers and sources as processes, in a temporary folder."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
from _clip import Clip, Image
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from app.broker import Broker, free_port, prepare_jars
from app.kafka.admin import create_topics
from app.messages import Faces, Frame, Identifications, decode, encode_frame
from app.settings import ROOT, Settings
from app.sources.demo import DEMO_PEOPLE, demo_photo
from app.topics import MAX_MESSAGE_BYTES, Topics, TopicSpec

__all__ = ["Rig", "Started", "enrol", "enrol_photo", "producer_for", "rig", "run_benchmark", "send_frame"]

_PATIENCE = 120.0
_WORKER = [sys.executable, "-m", "faust", "-A", "app", "worker", "-l", "info"]


def run_benchmark(work: Awaitable[int], minutes: float) -> int:
    """Run a benchmark and return its exit code; whatever ends it, what it has started ends before.

    One that is asked to end a second time does so wherever it is, in what blocks the loop too.

    Args:
        minutes: it has failed where it takes longer.
    """

    async def run() -> int:
        loop, task, asked = asyncio.get_running_loop(), asyncio.current_task(), False
        assert task is not None

        def end(*_: object) -> None:
            nonlocal asked
            if asked:
                raise KeyboardInterrupt
            asked = True
            print("interrupted", file=sys.stderr, flush=True)
            loop.call_soon_threadsafe(task.cancel)

        # Not left to asyncio: what a script starts in the background ignores SIGINT, and so would it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        try:
            async with asyncio.timeout(minutes * 60):
                return await work
        except TimeoutError:
            print(f"not done within {minutes:g} minutes", file=sys.stderr)
            return 1

    try:
        return asyncio.run(run())
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 1


class Rig:
    """A broker, and what is started on it."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self._runs = 0

    def settings(self, **more: object) -> Settings:
        """Return settings with topics of their own, for one run."""
        self._runs += 1
        given: dict[str, object] = {
            "broker": self.broker.url,
            "data_dir": self.folder / f"run-{self._runs}",
            "topic_prefix": f"run-{self._runs}-",
            "partitions": 1,
            "web_port": free_port(),
        }
        return Settings(**(given | more))

    @contextmanager
    def started(self, settings: Settings) -> Iterator["Started"]:
        """Run one of several workers with these settings, on a port of its own; it may be killed."""
        worker = Started(settings.model_copy(update={"web_port": free_port()}))
        worker.start()
        try:
            yield worker
        finally:
            worker.kill()

    async def faces(self, settings: Settings) -> list["ConsumerRecord[bytes, bytes]"]:
        """Return all that is on `faces` now."""
        return await self.records(settings, Topics(settings).faces)

    async def wrong(self, settings: Settings, clip: Clip, person: str | None = None) -> list[str]:
        """Return what is wrong with what a worker has made of a clip, written as the only frames of a run.

        Args:
            person: id of who is enrolled, and to be named wherever they can be seen.
        """
        found = [decode(Faces, record.value) for record in await self.faces(settings)]
        wrong = clip.wrong("faces", {faces.seq: len(faces) for faces in found})
        if person is None or clip.known is None:
            return wrong
        records = await self.records(settings, Topics(settings).identifications)
        told = [decode(Identifications, record.value) for record in records]
        named = {one.offset for one in told if person in one.people}
        seen = {one.offset for one in told if clip.known[one.offset % clip.frames]}
        if not seen or len(named & seen) < 0.95 * len(seen):
            wrong.append(f"names: given on {len(named & seen)} of {len(seen)} frames with the person")
        if named - seen:
            wrong.append(f"names: given on {len(named - seen)} frames without the person")
        return wrong

    async def records(self, settings: Settings, topic: TopicSpec) -> list["ConsumerRecord[bytes, bytes]"]:
        """Return all that is on a topic now."""
        places = [TopicPartition(topic.name, number) for number in range(settings.partitions)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap,
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
            # A seek to the beginning would race with the client's own, to the end.
            auto_offset_reset="earliest",
        )
        records: list[ConsumerRecord[bytes, bytes]] = []
        async with consumer:
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for batch in (await consumer.getmany(timeout_ms=1000)).values():
                    records += batch
        return records

    @asynccontextmanager
    async def worker(self, settings: Settings) -> AsyncIterator[None]:
        """Run a worker, ready when this is entered."""
        with self._process(_WORKER, settings, "worker"):
            await _until_ready(settings)
            yield

    @contextmanager
    def source(self, settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a source."""
        with self._process(
            [sys.executable, "-m", "app.cli", "source", *arguments], settings, "source"
        ) as process:
            yield process

    async def fill(
        self, settings: Settings, stream: str, jpegs: list[tuple[Image, bytes]], times: int
    ) -> int:
        """Write a recording of JPEGs to the frames, `times` over; return how many frames that is."""
        await create_topics(settings)
        start = int(time.time() * 1000)
        async with producer_for(settings) as producer:
            for seq in range(times * len(jpegs)):
                at = {"captured": start + seq * 33, "pts": seq * 33}
                await send_frame(
                    producer, settings, jpegs[seq % len(jpegs)], stream=stream, seq=seq, live=False, **at
                )
        return times * len(jpegs)

    async def rate(self, settings: Settings, count: int, skip: int) -> float:
        """Return frames a second between the faces number `skip` and `count`, by the log's own times."""
        times: list[int] = []
        async with self._faces(settings) as (consumer, place):
            # Read when all is there: a consumer that follows would take its part of the machine.
            while (await consumer.end_offsets([place]))[place] < count:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
            await consumer.seek_to_beginning(place)
            consumer.resume(place)
            async for record in consumer:
                times.append(record.timestamp)
                if len(times) == count:
                    break
        return (count - 1 - skip) * 1000 / (times[-1] - times[skip])

    @asynccontextmanager
    async def _faces(self, settings: Settings) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
        place = TopicPartition(Topics(settings).faces.name, 0)
        consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap)
        await consumer.start()
        consumer.assign([place])
        consumer.pause(place)
        try:
            yield consumer, place
        finally:
            await consumer.stop()

    @contextmanager
    def _process(
        self, command: list[str], settings: Settings, name: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with (settings.data_dir / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, env=_environment(settings), stdout=log, stderr=log)
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(_PATIENCE)
                finally:
                    # Nothing where it has ended.
                    process.kill()
                    process.wait()


class Started:
    """A worker as a process that may be killed and started again."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it."""
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        port = str(self.settings.web_port)
        with (self.settings.data_dir / f"worker-{port}.log").open("ab") as log:
            environment = _environment(self.settings) | {"ONLOOKER_WEB_PORT": port}
            self._process = subprocess.Popen(_WORKER, env=environment, stdout=log, stderr=log)

    async def until_ready(self) -> None:
        """Wait until it is ready."""
        await _until_ready(self.settings)

    def kill(self) -> None:
        """End it at once, as a machine that loses its power does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment that gives a child process these settings."""
    given = {f"ONLOOKER_{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set}
    return {**os.environ, **given}


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    """Run a broker of our own in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="onlooker-bench-") as name:
        folder = Path(name)
        jars = ROOT / "var" / "jars"
        await asyncio.to_thread(prepare_jars, jars)
        async with Broker(folder / "broker", free_port(), jars) as broker:
            yield Rig(broker, folder)


@asynccontextmanager
async def producer_for(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """Connect a producer of frames."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, max_request_size=MAX_MESSAGE_BYTES)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send_frame(
    producer: AIOKafkaProducer, settings: Settings, picture: tuple[Image, bytes], **more: object
) -> None:
    """Put a picture and its JPEG on their way as a frame, whose other fields are given."""
    image, jpeg = picture
    height, width = image.shape[:2]
    frame = Frame(width=width, height=height, jpeg=jpeg, **more)
    key, value, headers = encode_frame(frame)
    await producer.send(Topics(settings).lane(frame.live).name, value, key, headers=headers)


async def enrol(settings: Settings) -> str:
    """Enrol somebody of the demonstration with a worker that is ready, and return their id."""
    person = DEMO_PEOPLE[0]
    return await enrol_photo(settings, person.name, demo_photo(person.name).read_bytes())


async def enrol_photo(settings: Settings, name: str, photo: bytes) -> str:
    """Enrol somebody with a worker that is ready, and return their id."""
    form = aiohttp.FormData({"name": name})
    form.add_field("photo", photo, filename="photo.jpg")
    async with (
        aiohttp.ClientSession(settings.address) as session,
        session.post("/people", data=form) as response,
    ):
        told = await response.json()
        if response.status != 201:
            raise SystemExit(f"not enrolled: {json.dumps(told)}")
        return str(told["id"])


async def _until_ready(settings: Settings) -> None:
    try:
        async with asyncio.timeout(_PATIENCE), aiohttp.ClientSession(settings.address) as session:
            while not await _ready(session):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise SystemExit(f"the worker is not ready; see {settings.data_dir}") from None


async def _ready(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/readyz") as answer:
            return answer.ok
    except aiohttp.ClientError:
        return False
