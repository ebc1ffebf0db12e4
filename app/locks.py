"""Locks between processes: files that one of them holds at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["locked"]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time hold the lock that is the file at `path`, made where it is missing.

    The system lets go of it when the process ends, however it does.

    Raises:
        OSError: the file cannot be made.
    """
    # For this user alone, as what it guards may be. The number is ours until the file is closed.
    with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
