"""How the progress of a measurement is told: a bar on a terminal, lines elsewhere, or nothing."""

import sys
import time
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Bar", "Lines", "Silence", "Teller", "console_teller"]

#: Seconds between two lines.
_PAUSE = 10.0


class Teller(Protocol):
    """Tells how far a piece of work is; a context manager around it."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, well or not."""

    def tell(self, done: int, total: int) -> None:
        """Say that `done` of `total` pictures are embedded."""


class Silence:
    """Tell nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def tell(self, done: int, total: int) -> None:
        """Tell nothing."""


class Lines(Silence):
    """Write a line now and then."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._next = 0.0

    def tell(self, done: int, total: int) -> None:
        """Write a line, unless the last one was just now."""
        now = time.monotonic()
        if now >= self._next or done == total:
            self._next = now + _PAUSE
            print(f"embedded {done} of {total} pictures", file=self._stream, flush=True)


class Bar:
    """Draw a bar with the time that is left."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task("embedding", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def tell(self, done: int, total: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=done, total=total)


def console_teller() -> Teller:
    """Return a bar where stderr is a terminal, lines where it is not."""
    console = Console(stderr=True)
    return Bar(console) if console.is_terminal else Lines()
