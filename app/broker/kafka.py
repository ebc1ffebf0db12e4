"""The broker's life: started, known to be ready, watched, stopped."""

import asyncio
import re
import signal
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NamedTuple, Self

from app.broker.configuration import CONSOLE_LOG, LOG_FILE, LOGGING, server_properties
from app.broker.errors import BrokerError
from app.broker.jars import prepare_jars
from app.broker.java import broker_command, keep_startup_cache, startup_cache
from app.broker.ports import HOST, check_port, cluster_on, free_port
from app.broker.storage import format_storage
from app.processes import end_leftover, forget_child, record_child
from app.progress import SILENT, Progress, Task

__all__ = ["Broker", "exit_reason"]

# One failed start writes about half of this; what is further back had other causes.
_TAIL = 256 * 1024
_ERROR = re.compile(r"^\S+ \S+ (?:ERROR|FATAL) (.*)(?:\n([\w.$]*(?:Exception|Error)\b.*))?", re.MULTILINE)
_FATAL = re.compile(r"^(?:Terminating due to|Error:|# A fatal error).*", re.MULTILINE)
_LONGEST = 300


_START_TIMEOUT = 120.0
_STOP_GRACE = 15.0
_TRAINING_GRACE = 120.0
_POLL = 0.05
_CONTROLLER_PORTS = 3


def exit_reason(data: Path, code: int, started: float) -> str:
    """Return the signal, else what Java said, else Kafka's first recent error, else the exit status.

    `started` is when it was started, in seconds since the epoch: an older log is of another run.
    """
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    if said := _FATAL.search(_tail(data / CONSOLE_LOG, started)):
        return said.group()[:_LONGEST]
    if error := _ERROR.search(_tail(data / LOG_FILE, started)):
        return ": ".join(part.strip() for part in error.groups() if part)[:_LONGEST]
    return f"exit status {code}"


def _tail(path: Path, started: float) -> str:
    try:
        if path.stat().st_mtime < started:
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


class _ControllerPortTakenError(BrokerError):
    """Somebody took the controller's port between its choice and its use."""


class _Ports(NamedTuple):
    """Where a run of Kafka listens."""

    clients: int
    controller: int


class Broker:
    """Apache Kafka as a child process.

    One that a killed parent left behind is ended at the next start, not taken over: only a child can be
    waited for, and a new one has today's settings. That costs two seconds, and only after a crash.
    """

    #: Folder of the storage, configuration, logs and the note of the child.
    data: Path
    #: Port of the loopback address for clients.
    port: int

    def __init__(self, data: Path, port: int, jars: Path, progress: Progress = SILENT) -> None:
        self.data = data
        self.port = port
        self._cache = jars
        self._progress = progress
        self._note = data / "broker.json"
        self._child: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    @property
    def bootstrap(self) -> str:
        """The broker as ``host:port``, for Kafka clients."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The broker as ``kafka://host:port``, for Faust and the settings."""
        return f"kafka://{self.bootstrap}"

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._child.pid if self._child and self._child.poll() is None else None

    async def start(self) -> None:
        """Start Kafka and return when it takes requests.

        Raises:
            BrokerError: the jars cannot be had, the port is taken, Kafka ends or does not get ready.
            ProcessError: another Onlooker runs a broker on this data.
        """
        if self.pid is not None:
            return
        jars = await asyncio.to_thread(prepare_jars, self._cache, self._progress)
        await asyncio.to_thread(end_leftover, self._note, _STOP_GRACE)
        await asyncio.to_thread(check_port, self.port)
        self._write_configuration(_Ports(self.port, free_port()))
        cluster = await asyncio.to_thread(format_storage, self.data, jars)
        cache = startup_cache(jars)
        try:
            if not cache.exists():
                await self._train(jars, cluster, cache)
            await self._run(jars, cluster, self.port, f"-XX:AOTCache={cache}")
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop Kafka: ask it to end, kill it if it does not; nothing if it does not run."""
        await self._stop(_STOP_GRACE)

    async def wait(self) -> int:
        """Wait until Kafka ends and return its exit status, which is negative after a signal.

        Raises:
            BrokerError: it has not been started.
        """
        if self._child is None:
            raise BrokerError("the broker has not been started")
        return await _ended(self._child)

    def describe_end(self) -> str:
        """Return in one line why Kafka ended, and where its log is; "" while it has not."""
        code = self._child.poll() if self._child else None
        if code is None:
            return ""
        reason = exit_reason(self.data, code, self._started)
        return f"Apache Kafka ended: {reason} (log: {self.data / LOG_FILE})"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _train(self, jars: list[Path], cluster: str, cache: Path) -> None:
        # A run of its own, for Java writes the cache when it ends: no later stop then takes seconds.
        with (
            Task(self._progress, "preparing quick starts"),
            TemporaryDirectory(dir=cache.parent, prefix="incoming-") as incoming,
        ):
            made = Path(incoming, cache.name)
            # Where nobody looks for it: a worker that waits for Kafka would lose it again.
            await self._run(jars, cluster, free_port(), f"-XX:AOTCacheOutput={made}")
            if await self._stop(_TRAINING_GRACE) != -signal.SIGKILL:
                keep_startup_cache(made, cache)

    async def _run(self, jars: list[Path], cluster: str, port: int, *options: str) -> None:
        for attempt in range(_CONTROLLER_PORTS):
            ports = _Ports(port, free_port())
            self._write_configuration(ports)
            try:
                self._launch(broker_command(jars, *options))
                await self._until_ready(cluster, ports)
                return
            except _ControllerPortTakenError:
                if attempt + 1 == _CONTROLLER_PORTS:
                    raise

    def _write_configuration(self, ports: _Ports) -> None:
        (self.data / LOG_FILE).parent.mkdir(parents=True, exist_ok=True)
        (self.data / "log4j2.yaml").write_text(LOGGING, "utf-8")
        (self.data / "server.properties").write_text(server_properties(*ports), "ascii")

    def _launch(self, command: list[str]) -> None:
        # File systems keep times more coarsely than the clock has them.
        self._started = time.time() - 0.1
        with (self.data / CONSOLE_LOG).open("wb") as console:
            # Its own session: Ctrl-C in the terminal reaches the parent alone, which stops it in order.
            self._child = subprocess.Popen(
                command,
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        record_child(self._note, self._child.pid, "Apache Kafka")

    async def _until_ready(self, cluster: str, ports: _Ports) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            if self.pid is None:
                await self._raise_end(ports)
            answer = await cluster_on(ports.clients)
            # Asked again after the answer, which a stranger gives when the child lost the port to them.
            if answer is not None and self.pid is not None:
                if answer != cluster:
                    raise BrokerError(
                        f"port {ports.clients} of {HOST} answers as another Kafka: "
                        f"expected cluster {cluster}, found {answer}"
                    )
                return
            await asyncio.sleep(_POLL)
        raise BrokerError(
            f"Apache Kafka is not ready after {_START_TIMEOUT:.0f} s (log: {self.data / LOG_FILE})"
        )

    async def _raise_end(self, ports: _Ports) -> None:
        forget_child(self._note)
        text = self.describe_end()
        if f"{HOST}:{ports.controller}:" in text:
            raise _ControllerPortTakenError(text)
        if f"{HOST}:{ports.clients}:" in text:
            await asyncio.to_thread(check_port, ports.clients)
        raise BrokerError(text)

    async def _stop(self, grace: float) -> int | None:
        if self._child is None:
            return None
        if self._child.poll() is None:
            self._child.terminate()
        try:
            code = await asyncio.wait_for(_ended(self._child), grace)
        except TimeoutError:
            self._child.kill()
            code = await _ended(self._child)
        forget_child(self._note)
        return code


async def _ended(child: subprocess.Popen[bytes]) -> int:
    # Polled, so that a broker belongs to no event loop: the one that stops it may be another.
    while (code := child.poll()) is None:  # noqa: ASYNC110
        await asyncio.sleep(_POLL)
    return code
