"""How far a piece of work is: a bar on a terminal, lines elsewhere, or nothing."""

import time
from types import TracebackType
from typing import Literal, Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars

__all__ = [
    "SILENT",
    "BarProgress",
    "LineProgress",
    "Progress",
    "SilentProgress",
    "Task",
    "Unit",
    "console_progress",
]

Unit = Literal["bytes", "items"]

#: Seconds between two lines about one piece of work.
_PAUSE = 10.0


class Progress(Protocol):
    """Shows one piece of work after the other."""

    def begin(self, what: str, total: int | None, unit: Unit) -> None:
        """Show that `what` begins, which is done after `total` bytes or items; None where nobody knows."""

    def advance(self, count: int) -> None:
        """Show that so many more bytes or items are done."""

    def end(self) -> None:
        """Show that it is over, well or not."""


class Task:
    """One piece of work that is shown; a context manager around it, of the shape that pypi-simple calls."""

    def __init__(self, progress: Progress, what: str, total: int | None = None, unit: Unit = "items") -> None:
        self._progress = progress
        self._what = what
        self._total = total
        self._unit = unit

    def __enter__(self) -> Self:
        self._progress.begin(self._what, self._total, self._unit)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.end()

    def update(self, increment: int) -> None:
        """Say that so many more bytes or items are done."""
        self._progress.advance(increment)


class SilentProgress:
    """Shows nothing."""

    def begin(self, what: str, total: int | None, unit: Unit) -> None:
        """Show nothing."""

    def advance(self, count: int) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""


SILENT: Progress = SilentProgress()


class LineProgress:
    """Writes a line when something begins, now and then, and when it is over.

    Where items are counted, the first line comes with the first of them: what fails at once is one line, the
    error's own.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._what = ""
        self._total: int | None = None
        self._unit: Unit = "items"
        self._done = 0
        self._shown = False
        self._began = self._written = 0.0

    def begin(self, what: str, total: int | None, unit: Unit) -> None:
        """Write what begins, and how much it is."""
        self._what, self._total, self._unit, self._done, self._shown = what, total, unit, 0, False
        self._began = self._written = time.monotonic()
        if unit == "bytes" or total is None:
            self._show()

    def advance(self, count: int) -> None:
        """Write how much is done, unless the last line was just now: more would flood a log."""
        self._done += count
        if not self._shown:
            self._show()
        if (now := time.monotonic()) >= self._written + _PAUSE:
            self._written = now
            self._write(f"{self._what}: {self._so_far}")

    def end(self) -> None:
        """Write how much was done in how many seconds."""
        if self._shown:
            so_far = f"{self._so_far}, " if self._done else ""
            self._write(f"{self._what}: {so_far}{time.monotonic() - self._began:.1f} s")

    def _show(self) -> None:
        self._shown = True
        size = f" ({_amount(self._total, self._unit)})" if self._total else ""
        self._write(f"{self._what}{size} ...")

    @property
    def _so_far(self) -> str:
        done = _amount(self._done, self._unit)
        return f"{done} of {_amount(self._total, self._unit)}" if self._total else done

    def _write(self, text: str) -> None:
        self._console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)


class BarProgress:
    """Draws a bar for each piece of work."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Bars | None = None
        self._task = TaskID(0)

    def begin(self, what: str, total: int | None, unit: Unit) -> None:
        """Open a bar; one that swings where `total` is not known."""
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), *_columns(total, unit))
        self._bars = Bars(*columns, console=self._console)
        self._bars.start()
        self._task = self._bars.add_task(what, total=total)

    def advance(self, count: int) -> None:
        """Move the bar."""
        if self._bars is not None:
            self._bars.advance(self._task, count)

    def end(self) -> None:
        """Close the bar."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


def console_progress(console: Console | None = None) -> Progress:
    """Return bars where `console`, stderr if not given, is a terminal; lines where it is not."""
    console = console or Console(stderr=True)
    return BarProgress(console) if console.is_terminal else LineProgress(console)


def _columns(total: int | None, unit: Unit) -> tuple[ProgressColumn, ...]:
    if unit == "bytes":
        return DownloadColumn(), TransferSpeedColumn()
    if total is None:
        return (TimeElapsedColumn(),)
    return MofNCompleteColumn(), TimeRemainingColumn(elapsed_when_finished=True)


def _amount(count: int, unit: Unit) -> str:
    return f"{count / 1e6:.1f} MB" if unit == "bytes" else f"{count:,}"
