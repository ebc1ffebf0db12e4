"""Locks of the weights folder, which several processes may write to."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import OnlookerError

__all__ = ["locked"]


@contextmanager
def locked(folder: Path, name: str, failure: type[OnlookerError]) -> Iterator[None]:
    """Make `folder` where it is missing, and let one process at a time hold its lock `name`.

    Raises:
        OnlookerError: nothing can be written there; it is a `failure`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / name).open("w")
    except OSError as error:
        raise failure(f"cannot write to the weights folder {folder}: {error.strerror}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
