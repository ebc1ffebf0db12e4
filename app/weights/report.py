"""How the fetching of a file is told: a bar on a terminal, lines elsewhere, or nothing."""

import sys
import time
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

__all__ = ["BarReport", "LineReport", "Report", "SilentReport", "console_report"]


class Report(Protocol):
    """What a fetch tells while it runs; one thing at a time."""

    def begin(self, what: str, total: int | None) -> None:
        """Say that `what` starts, of `total` bytes where they can be counted on the way."""

    def advance(self, count: int) -> None:
        """Say that `count` more bytes are here."""

    def end(self) -> None:
        """Say that it is over, well or not."""


class SilentReport:
    """Tell nothing."""

    def begin(self, what: str, total: int | None) -> None:
        """Tell nothing."""

    def advance(self, count: int) -> None:
        """Tell nothing."""

    def end(self) -> None:
        """Tell nothing."""


class LineReport:
    """Tell each thing in one line when it starts, and how long it took."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._started = 0.0

    def begin(self, what: str, total: int | None) -> None:
        """Write what starts."""
        self._started = time.monotonic()
        size = f" ({total / 1e6:.1f} MB)" if total else ""
        print(f"fetching {what}{size} ...", file=self._stream, flush=True)

    def advance(self, count: int) -> None:
        """Tell nothing: lines would flood a log."""

    def end(self) -> None:
        """Write the seconds it took."""
        print(f"  {time.monotonic() - self._started:.1f} s", file=self._stream, flush=True)


class BarReport:
    """Draw a bar for each thing."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def begin(self, what: str, total: int | None) -> None:
        """Open a bar; one that swings where `total` is not known."""
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, console=self._console)
        self._progress.start()
        self._task = self._progress.add_task(what, total=total)

    def advance(self, count: int) -> None:
        """Move the bar."""
        if self._progress is not None:
            self._progress.advance(self._task, count)

    def end(self) -> None:
        """Close the bar."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def console_report() -> Report:
    """Return bars where stderr is a terminal, lines where it is not."""
    console = Console(stderr=True)
    return BarReport(console) if console.is_terminal else LineReport()
