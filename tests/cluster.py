"""Real workers and sources as processes of their own, for tests of the whole."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from machine import SLOWNESS

from app.broker import free_port
from app.kafka.clients import make_consumer
from app.settings import Settings
from app.topics import MAX_MESSAGE_BYTES, TopicSpec

__all__ = [
    "PATIENCE",
    "ROOT",
    "Cluster",
    "Program",
    "Worker",
    "clean_environment",
    "count_messages",
    "name_on",
    "read_topic",
    "request",
    "wait_for",
]

ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")
P = TypeVar("P", bound="Program")

#: Seconds that anything may take on a machine that is busy with something else too.
PATIENCE = 90.0
_POLL = 0.1
_TAIL = 6_000


def wait_for(what: str, ask: Callable[[], T | None], within: float = PATIENCE) -> T:
    """Ask until there is an answer that is true, and return it."""
    deadline = time.monotonic() + within * SLOWNESS
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"waited {within * SLOWNESS:.0f} s for {what}"
        time.sleep(_POLL)
    return answer


def request(url: str, data: bytes | None = None, method: str | None = None, **headers: str) -> Any:
    """Send a GET, or a POST of `data`, and return the JSON of the answer."""
    wish = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(wish, timeout=30 * SLOWNESS) as answer:
        return json.load(answer)


def clean_environment(**settings: object) -> dict[str, str]:
    """Return this environment with these ONLOOKER_ variables and no others."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ONLOOKER_")}
    return kept | {f"ONLOOKER_{name.upper()}": str(value) for name, value in settings.items()}


def name_on(partition: int) -> str:
    """Return the name of a stream that is on a partition of two."""
    choose = DefaultPartitioner()
    return next(
        name
        for name in map("camera-{}".format, range(100))
        if choose(name.encode(), [0, 1], [0, 1]) == partition
    )


class Program:
    """A process in a session of its own, with its output in a file."""

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = [*command]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code once it has ended."""
        return self._process.poll() if self._process else None

    def start(self) -> Self:
        """Start it, for the first time or again."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, within: float = PATIENCE) -> int:
        """Wait for its end and return its exit code."""
        assert self._process is not None
        return self._process.wait(within * SLOWNESS)

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it at once, as a machine that loses its power does."""
        self.signal(signal.SIGKILL)
        self.wait()

    def end(self) -> None:
        """End it, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def said(self) -> str:
        """Return all that it has written."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""


class Worker(Program):
    """A worker and its web side."""

    def __init__(self, port: int, *rest: Any) -> None:
        super().__init__(*rest)
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        """Tell whether it is ready now."""
        assert self.code is None, f"{self.name} ended with code {self.code}: {self.said()[-_TAIL:]}"
        try:
            return bool(request(f"{self.url}/readyz")["ready"])
        except OSError:
            return False

    def until_ready(self) -> Self:
        """Wait until it is ready."""
        wait_for(f"{self.name} to be ready", self.ready)
        return self

    def get(self, path: str) -> Any:
        """Return the JSON of one of its pages."""
        return request(self.url + path)

    def delete(self, path: str) -> Any:
        """Delete what is at a path."""
        return request(self.url + path, method="DELETE")

    def fetch(self, path: str) -> bytes:
        """Return the bytes of one of its pages."""
        with urllib.request.urlopen(self.url + path, timeout=30 * SLOWNESS) as answer:
            body: bytes = answer.read()
            return body

    def stream(self, name: str) -> dict[str, Any]:
        """Return what it knows of a stream; empty where it knows nothing."""
        return next((found for found in self.get("/streams")["streams"] if found["name"] == name), {})

    def enrol(self, name: str, photo: bytes, **fields: str) -> dict[str, Any]:
        """Enrol somebody with a photograph, and return the answer."""
        boundary = uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{text}\r\n'.encode()
            for field, text in {"name": name, **fields}.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="photo"\r\n\r\n'
        body = b"".join([*parts, head.encode(), photo, f"\r\n--{boundary}--\r\n".encode()])
        kind = f"multipart/form-data; boundary={boundary}"
        answer: dict[str, Any] = request(f"{self.url}/people", body, **{"Content-Type": kind})
        return answer


class Cluster:
    """Workers and sources that share one Kafka under a prefix of their own.

    Arguments:
        folder: where data and logs go.
        settings: more settings of every process, by their names.
    """

    def __init__(self, broker: str, folder: Path, **settings: object) -> None:
        self.folder = folder
        self._more: dict[str, object] = {
            "broker": broker,
            "topic_prefix": f"t{uuid4().hex[:8]}.",
            "partitions": 2,
            "data_dir": folder / "data",
            **settings,
        }
        self.settings = Settings(**self._more)
        self._programs: list[Program] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in self._programs:
            program.end()
        if error is not None:
            # Where the cluster is no fixture, nobody can ask it for its logs any more.
            for name, text in self.logs():
                error.add_note(f"log of {name}:\n{text}")

    def place(self, name: str, **settings: object) -> tuple[dict[str, str], Path]:
        """Return the environment of a process, with these settings changed, and its log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return clean_environment(**self._more | settings), self.folder / f"{name}.log"

    def start(self, program: P) -> P:
        """Start a process that is ended with the cluster."""
        self._programs.append(program)
        return program.start()

    def worker(self, level: str = "info", program: str = "app", **settings: object) -> Worker:
        """Start a worker, of another program if need be; ask it whether it is ready before it is used."""
        port, name = free_port(), f"worker-{len(self._programs)}"
        command = [sys.executable, "-m", "faust", "-A", program, "worker", "-l", level]
        command += ["--web-port", str(port)]
        return self.start(Worker(port, name, command, *self.place(name, **settings)))

    def source(self, medium: Path | str, stream: str, *options: str) -> Program:
        """Start to write a medium to a stream."""
        name = f"source-{stream}"
        command = [sys.executable, "-m", "app.cli", "source", str(medium), "--stream", stream, *options]
        return self.start(Program(name, command, *self.place(name)))

    def play(self, medium: Path, stream: str) -> None:
        """Write a whole medium to a stream, as fast as Kafka takes it."""
        source = self.source(medium, stream, "--fps", "max")
        assert source.wait() == 0, source.said()

    def logs(self) -> Iterator[tuple[str, str]]:
        """Give the name of each process and the end of its log, for a report."""
        for program in self._programs:
            yield program.name, program.said()[-_TAIL:]


async def count_messages(settings: Settings, topic: TopicSpec) -> int:
    """Return how many messages are on a topic."""
    places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    async with make_consumer(settings) as consumer:
        return sum((await consumer.end_offsets(places)).values())


async def read_topic(settings: Settings, topic: TopicSpec) -> list["ConsumerRecord[bytes, bytes]"]:
    """Return all that is on a topic now, in order within each partition."""
    places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    consumer = make_consumer(
        settings,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        # A seek to the beginning would race with the client's own, to the end.
        auto_offset_reset="earliest",
    )
    async with consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        records: list[ConsumerRecord[bytes, bytes]] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=1000)).values():
                records += batch
    return sorted(records, key=lambda record: (record.partition, record.offset))
