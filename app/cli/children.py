"""Child processes of `onlooker up`: started, watched, started again, ended."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from app.errors import OnlookerError
from app.kafka import SHUTDOWN
from app.processes import end_leftover, forget_child, record_child

__all__ = ["Child", "ChildError", "end_leftovers"]

#: Seconds that a child may take to end: what a worker waits for Kafka, and as long again for all the rest.
_GRACE = 2 * SHUTDOWN
#: A child that ends this often within this many seconds is not started again.
_MOST_ENDS, _WITHIN = 3, 60.0
_LOG_BYTES = 16 * 2**20
_POLL = 0.1


class ChildError(OnlookerError):
    """A child keeps ending."""


def end_leftovers(folder: Path) -> list[str]:
    """End every child that a killed parent left behind; say which those were."""
    ended = [end_leftover(note, _GRACE) for note in sorted(folder.glob("*.json"))]
    return [name for name in ended if name]


class Child:
    """A process of ours, with its log in a file.

    Args:
        folder: where its note (`<name>.json`) and its log (`<name>.log`) are.
        finite: it may end by itself, with exit code 0: a recording has an end.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        finite: bool = False,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._note = folder / f"{name}.json"
        self._finite = finite
        self._process: subprocess.Popen[bytes] | None = None
        self._ends: list[float] = []

    def start(self) -> None:
        """Start it."""
        self._launch()

    async def watch(self, tell: Callable[[str], None]) -> None:
        """Return when it has come to its end; one that fails is started again.

        Args:
            tell: is called with what a person should know.

        Raises:
            ChildError: it fails again and again.
        """
        while True:
            code = await self._ended()
            forget_child(self._note)
            if code == 0 and self._finite:
                return
            self._count_end(code)
            tell(f"the {self.name} ended with code {code}: starting it again (log: {self.log})")
            self._launch()

    async def stop(self) -> None:
        """Ask it to end, and kill it if it does not; nothing if it does not run."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._ended(), _GRACE)
        except TimeoutError:
            self._process.kill()
            await self._ended()
        forget_child(self._note)

    def last_words(self) -> str:
        """Return the last line of its log."""
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def _launch(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # Its own session: Ctrl-C in the terminal reaches the parent alone, which ends all in order.
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        record_child(self._note, self._process.pid, self.name)

    def _count_end(self, code: int) -> None:
        now = time.monotonic()
        self._ends = [end for end in self._ends if now - end < _WITHIN] + [now]
        # Exit code 2 is a person's mistake, which trying again does not mend.
        if code == 2 or len(self._ends) >= _MOST_ENDS:
            raise ChildError(f"the {self.name} ended with code {code}: {self.last_words()} (log: {self.log})")

    async def _ended(self) -> int:
        if self._process is None:
            raise ChildError(f"the {self.name} has not been started")
        while (code := self._process.poll()) is None:
            self._bound_log()
            await asyncio.sleep(_POLL)
        return code

    def _bound_log(self) -> None:
        """Set a log that has grown large aside; the child goes on writing to the one it has open."""
        if self.log.stat().st_size > _LOG_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)
