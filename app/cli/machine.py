"""One machine that runs it all: what is started, in which order, and what a person is told."""

import asyncio
import math
import os
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from app.broker import Broker, check_port, prepare_jars
from app.cli.broker import own_port
from app.cli.children import Child, end_leftovers
from app.cli.client import Client, ClientError
from app.cli.people import enrol
from app.errors import OnlookerError
from app.models import prepare_nets
from app.progress import console_progress
from app.settings import SOURCE_VARIABLE, Settings, private_folder
from app.sources import mask
from app.sources.demo import DEMO_PEOPLE, demo_photo
from app.weights import ensure

__all__ = ["Machine", "Plan"]

#: Seconds for a worker to be ready and for a first picture, on a slow machine too.
_PATIENCE = 120.0
_POLL = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run."""

    #: None starts no stream.
    source: str | None
    stream: str
    loop: bool
    workers: int


class Machine:
    """Broker, workers and a source, as children of this process."""

    def __init__(self, settings: Settings, plan: Plan, console: Console) -> None:
        self._settings = settings
        self._plan = plan
        self._console = console
        self._began = time.time()
        self._logs = settings.data_dir / "logs"
        self._broker: Broker | None = None
        if "broker" not in settings.model_fields_set:
            folder = settings.data_dir
            progress = console_progress(console)
            self._broker = Broker(folder / "broker", own_port(settings), folder / "jars", progress)
        self._workers = [self._worker(settings.web_port + number) for number in range(plan.workers)]
        self._source = self._source_child() if plan.source else None

    def say(self, text: str) -> None:
        """Tell a person."""
        self._console.print(text)

    def prepare(self) -> None:
        """Fetch what is missing, with progress.

        Raises:
            OnlookerError: something cannot be had.
        """
        settings = self._settings
        private_folder(settings)
        if self._broker:
            prepare_jars(settings.data_dir / "jars", console_progress(self._console))
        for line in prepare_nets(settings, console_progress()):
            self.say(line)
        if self._plan.source == "demo":
            ensure("demo-portraits", settings, console_progress())

    async def run(self) -> None:
        """Start everything, say where it is, and keep it running until cancelled.

        Raises:
            OnlookerError: something cannot be started, or keeps ending.
        """
        try:
            await self._start()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._welcome())
                if self._broker:
                    tasks.create_task(self._keep_broker(self._broker))
                for child in self._children:
                    tasks.create_task(self._keep(child))
        except* OnlookerError as errors:
            raise errors.exceptions[0] from None
        finally:
            await self._stop()

    @property
    def _children(self) -> list[Child]:
        return [*self._workers, *([self._source] if self._source else [])]

    async def _start(self) -> None:
        for left in await asyncio.to_thread(end_leftovers, self._logs):
            self.say(f"ended what was left over: {left}")
        for number in range(self._plan.workers):
            check_port(self._settings.web_port + number, self._settings.web_host)
        if self._broker:
            self.say(f"starting Apache Kafka at {self._broker.url}")
        # The workers wait for Kafka: they import and load while it starts.
        self.say(f"starting {self._plan.workers} worker(s)")
        for worker in self._workers:
            worker.start()
        if self._broker:
            await self._broker.start()
        if self._source and self._plan.source:
            self.say(f"starting the stream {self._plan.stream} from {mask(self._plan.source)}")
            self._source.start()

    async def _welcome(self) -> None:
        """Say where everything is, once it is there."""
        async with Client(self._settings) as client:
            await self._until_ready(client)
            if self._plan.source == "demo":
                await self._enrol_first(client)
            self._tell_addresses()
            if self._source:
                await self._tell_first_frame(client)

    def _tell_addresses(self) -> None:
        settings, stream = self._settings, self._plan.stream
        self.say(f"\nthe page:  {settings.address}/")
        if self._source:
            self.say(f"the stream as MJPEG:  {settings.address}/streams/{stream}.mjpeg")
        if self._plan.source == "demo":
            self.say(f"enrol a second person:  {self._second_enrolment()}")
        self.say("Ctrl-C stops everything\n")

    async def _tell_first_frame(self, client: Client) -> None:
        """Say when the first frame of this run can be seen; a camera may take its time."""
        path, patience = f"/streams/{self._plan.stream}.jpg", time.monotonic() + _PATIENCE
        while await client.captured(path) < self._began:
            if time.monotonic() > patience:
                self.say(f"no frame of {self._plan.stream} has come yet (log: {self._logs})")
                patience = math.inf
            await asyncio.sleep(_POLL)
        self.say(f"first annotated frame after {time.time() - self._began:.1f} s")

    async def _enrol_first(self, client: Client) -> None:
        """Enrol the first person of the demonstration, once: who removes them wants them gone."""
        done = self._settings.data_dir / "demo-enrolled"
        if done.exists() or (await client.get("/people"))["people"]:
            return
        first = DEMO_PEOPLE[0]
        try:
            await enrol(client, first.name, (demo_photo(first.name, self._settings),))
        except ClientError as error:
            self.say(f"{first.name} could not be enrolled: {error}")
        else:
            done.touch()
            self.say(f"enrolled {first.name}")

    def _second_enrolment(self) -> str:
        """Return the command line that enrols the second person of the demonstration."""
        name = DEMO_PEOPLE[1].name
        program = os.path.relpath(Path(sys.executable).parent / "onlooker")
        return shlex.join([program, "people", "add", name, os.path.relpath(demo_photo(name, self._settings))])

    async def _until_ready(self, client: Client) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not await client.answers("/readyz"):
            if time.monotonic() > deadline:
                raise OnlookerError(f"no worker is ready after {_PATIENCE:.0f} s (logs: {self._logs})")
            await asyncio.sleep(_POLL)

    async def _keep(self, child: Child) -> None:
        await child.watch(self.say)
        self.say(f"{child.name} has come to its end: {child.last_words()}")

    async def _keep_broker(self, broker: Broker) -> None:
        while True:
            await broker.wait()
            self.say(f"{broker.describe_end()}: starting it again")
            await broker.start()

    async def _stop(self) -> None:
        self.say("stopping ...")
        if self._source:
            await self._source.stop()
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        if self._broker:
            await self._broker.stop()

    def _worker(self, port: int) -> Child:
        command = ["-m", "faust", "-A", "app", "worker", "-l", "info", "--web-port", str(port)]
        return self._child(f"worker-{port}", command)

    def _source_child(self) -> Child:
        plan = self._plan
        command = ["-m", "app.cli", "source", "--stream", plan.stream, *(["--loop"] if plan.loop else [])]
        # Not on the command line, which everybody on the machine can see: it may hold a password.
        secret = {SOURCE_VARIABLE: plan.source or ""}
        return self._child(f"source-{plan.stream}", command, secret, finite=True)

    def _child(
        self,
        name: str,
        command: list[str],
        more: Mapping[str, str] = MappingProxyType({}),
        finite: bool = False,
    ) -> Child:
        environment = {
            "ONLOOKER_BROKER": self._broker.url if self._broker else self._settings.broker,
            # They are started before Kafka, which takes its time on a slow machine's first start.
            "ONLOOKER_BROKER_WAIT": str(_PATIENCE),
            **more,
        }
        # Without the current folder on the path: it may have an `app` of its own.
        return Child(name, [sys.executable, "-P", *command], self._logs, environment, finite)
