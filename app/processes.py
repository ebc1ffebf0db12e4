"""Child processes that a killed parent leaves behind: noted when they start, ended at the next start."""

import os
import time
from pathlib import Path

import msgspec
import psutil

from app.errors import OnlookerError

__all__ = ["ProcessError", "end_leftover", "forget_child", "record_child"]

# Start times are reckoned from the wall clock, which may be corrected while a process runs.
_CLOCK_SLACK = 2.0


class ProcessError(OnlookerError):
    """A process that stands in the way cannot, or must not, be ended."""


class _Identity(msgspec.Struct, frozen=True):
    """Which process it is: a pid is given again, a pid with its start time is not."""

    pid: int
    create_time: float

    @classmethod
    def of(cls, pid: int) -> "_Identity":
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """Return the process if it still runs and is truly the same one."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.create_time) < _CLOCK_SLACK
            return process if same and not _is_gone(process) else None
        except psutil.NoSuchProcess:
            return None


class _Note(msgspec.Struct, frozen=True):
    """What is written down of a child."""

    name: str
    child: _Identity
    parent: _Identity

    def __str__(self) -> str:
        return f"{self.name} (process {self.child.pid})"


def record_child(path: Path, pid: int, name: str) -> None:
    """Note in `path` that this process runs the child `pid`, called `name` in messages."""
    note = _Note(name, _Identity.of(pid), _Identity.of(os.getpid()))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Renamed into place, so that a parent killed here leaves the whole note or none.
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(msgspec.json.encode(note))
    unfinished.replace(path)


def forget_child(path: Path) -> None:
    """Remove the note of a child that has ended."""
    path.unlink(missing_ok=True)


def end_leftover(path: Path, grace: float = 15.0) -> str | None:
    """End the child noted in `path` if its parent is gone; say which, or None if there was none.

    The child is asked to end, and killed after `grace` seconds.

    Raises:
        ProcessError: the parent still runs, or the child cannot be ended.
    """
    note = _read(path)
    child = note.child.find() if note else None
    if note and child:
        if parent := note.parent.find():
            raise ProcessError(f"{note} is already run by process {parent.pid}: stop that first")
        _end(child, note, grace)
    forget_child(path)
    return str(note) if note and child else None


def _read(path: Path) -> _Note | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Note)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _end(process: psutil.Process, note: _Note, grace: float) -> None:
    try:
        process.terminate()
        if not _wait_gone(process, grace):
            process.kill()
            if not _wait_gone(process, grace):
                raise ProcessError(f"{note} was left over and does not end")
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise ProcessError(f"{note} was left over and belongs to another user: end it first") from None


def _wait_gone(process: psutil.Process, seconds: float) -> bool:
    # Not psutil's wait: where nobody collects orphans, an ended one stays as a zombie for ever.
    deadline = time.monotonic() + seconds
    while not _is_gone(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
