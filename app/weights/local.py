"""The local catalogue: what was imported or calibrated on this machine, beside the one that is shipped."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import tomli_w

from app.errors import OnlookerError
from app.locks import locked
from app.weights.catalogue import LOCAL, CatalogueError, catalogue_path, read_entry, read_tables

__all__ = ["change_local", "locked_folder", "put_local"]


HEADING = (
    "# Written by Onlooker: what was imported or calibrated here. Lies over catalogue.toml, key by key.\n\n"
)


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


def put_local(folder: Path, name: str, table: Mapping[str, Any]) -> None:
    """Make `table` all that `folder`/local.toml says of `name`, or change nothing.

    Raises:
        CatalogueError: it is no entry of a catalogue, or the file cannot be read or written.
    """
    with _alone(folder):
        _write(folder, _tables(folder) | {name: dict(table)}, name)


def change_local(folder: Path, name: str, keys: Mapping[str, Any]) -> None:
    """Write `keys` over what is said of `name`, here or in the shipped catalogue, or change nothing.

    Raises:
        CatalogueError: what comes out is no entry, or the file cannot be read or written.
    """
    with _alone(folder):
        tables = _tables(folder)
        _write(folder, tables | {name: {**tables.get(name, {}), **keys}}, name)


def _alone(folder: Path) -> AbstractContextManager[None]:
    """Let one process at a time read the file and write it; other locks of the folder may be held."""
    return locked_folder(folder, ".local.lock", CatalogueError)


def _tables(folder: Path) -> dict[str, Any]:
    path = folder / LOCAL
    return read_tables(path) if path.is_file() else {}


def _write(folder: Path, tables: Mapping[str, Any], changed: str) -> None:
    """Check the entry that was changed, write aside, and only then give the file its name."""
    shipped = read_tables(catalogue_path(folder)).get(changed, {})
    read_entry(changed, {**shipped, **tables[changed]})
    path = folder / LOCAL
    aside = path.with_suffix(".new")
    try:
        text = (HEADING + tomli_w.dumps(tables)).encode()
        with aside.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except UnicodeEncodeError as error:
        said = error.object[error.start : error.end]
        raise CatalogueError(f"{changed!r} cannot be written down: {said!r} in it is no UTF-8") from None
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise CatalogueError(f"cannot write the local catalogue {path}: {error.strerror}") from None
