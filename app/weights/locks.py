"""Locks of the weights folder, which several processes may write to."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.errors import OnlookerError
from app.locks import locked

__all__ = ["locked_folder"]


@contextmanager
def locked_folder(folder: Path, name: str, failure: type[OnlookerError]) -> Iterator[None]:
    """Make `folder` where it is missing, and let one process at a time hold its lock `name`.

    Raises:
        OnlookerError: nothing can be written there; it is a `failure`.
    """
    with ExitStack() as lock:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(locked(folder / name))
        except OSError as error:
            raise failure(f"cannot write to the weights folder {folder}: {error.strerror}") from None
        yield
