"""One machine that runs it all: what is started, in which order, and what a person is told."""

import asyncio
import os
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from app.broker import Broker, prepare_jars
from app.broker.ports import check_port
from app.cli.broker import own_port, preparation
from app.cli.children import Child
from app.cli.client import Client, ClientError
from app.cli.people import enrol
from app.errors import OnlookerError
from app.models.catalogue import load_catalogue
from app.models.fetch import pull_all
from app.models.report import console_report
from app.settings import Settings
from app.sources.demo import DEMO_PEOPLE, demo_photo
from app.sources.network import mask

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
        self._started = time.monotonic()
        self._broker: Broker | None = None
        if "broker" not in settings.model_fields_set:
            folder = settings.data_dir
            self._broker = Broker(folder / "broker", own_port(settings), folder / "jars")
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
        if self._broker:
            with preparation(self._console) as report:
                prepare_jars(settings.data_dir / "jars", report)
        catalogue = load_catalogue(settings.weights_dir)
        wanted = [catalogue.detector(settings.detector), catalogue.embedder(settings.embedder)]
        media = [catalogue.get("demo-portraits")] if self._plan.source == "demo" else []
        pull_all([*wanted, *media], settings.weights_dir, settings.weights_mirror, console_report())

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
        for child in self._children:
            if left := await child.clear():
                self.say(f"ended what was left over: {left}")
        for number in range(self._plan.workers):
            check_port(self._settings.web_port + number)
        if self._broker:
            self.say(f"starting Apache Kafka at {self._broker.url}")
        # The workers wait for Kafka: they import and load while it starts.
        self.say(f"starting {self._plan.workers} worker(s)")
        for worker in self._workers:
            worker.start()
        if self._broker:
            with preparation(self._console) as report:
                self._broker.report = report
                await self._broker.start()
        if self._source and self._plan.source:
            self.say(f"starting the stream {self._plan.stream} from {mask(self._plan.source)}")
            self._source.start()

    async def _welcome(self) -> None:
        """Say where everything is, once it is there."""
        settings, stream = self._settings, self._plan.stream
        async with Client(settings) as client:
            await self._until(client, "/readyz", "a worker is not ready")
            if self._plan.source == "demo":
                await self._enrol_first(client)
            if self._source:
                await self._until(client, f"/streams/{stream}.jpg", "no frame of the stream arrives")
                seconds = time.monotonic() - self._started
                self.say(f"first annotated frame after {seconds:.1f} s")
        self.say(f"\nthe page:  {settings.address}/")
        if self._source:
            self.say(f"the stream as MJPEG:  {settings.address}/streams/{stream}.mjpeg")
        if self._plan.source == "demo":
            self.say(f"enrol a second person:  {self._second_enrolment()}")
        self.say("Ctrl-C stops everything\n")

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

    async def _until(self, client: Client, path: str, failure: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not await client.answers(path):
            if time.monotonic() > deadline:
                raise OnlookerError(
                    f"{failure} after {_PATIENCE:.0f} s (logs: {self._settings.data_dir / 'logs'})"
                )
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
        command = [
            sys.executable,
            "-m",
            "faust",
            "-A",
            "app",
            "worker",
            "-l",
            "info",
            "--web-port",
            str(port),
        ]
        return Child(f"worker-{port}", command, self._settings.data_dir / "logs", self._environment())

    def _source_child(self) -> Child:
        plan = self._plan
        command = [sys.executable, "-m", "app.cli", "source", str(plan.source), "--stream", plan.stream]
        folder = self._settings.data_dir / "logs"
        more = ["--loop"] if plan.loop else []
        return Child(f"source-{plan.stream}", [*command, *more], folder, self._environment(), finite=True)

    def _environment(self) -> dict[str, str]:
        return {"ONLOOKER_BROKER": self._broker.url if self._broker else self._settings.broker}
