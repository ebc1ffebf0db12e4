"""What every import of a net shares: its name, its way into the weights folder, and its entry."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from app.errors import OnlookerError
from app.weights import Entry, File, Input, Origin, load_catalogue, put_local, workspace

__all__ = [
    "ImportOptions",
    "InstallationError",
    "choose_name",
    "describe_files",
    "import_folder",
    "install",
    "origin_of",
]


class InstallationError(OnlookerError):
    """A net cannot be installed in the weights folder or in the catalogue."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a person says about a net; None where it is to be told from the graph."""

    name: str | None = None
    kind: Literal["detection", "embedding"] | None = None
    colour: Literal["RGB", "BGR"] | None = None
    mean: float | None = None
    scale: float | None = None
    licence: str = "not stated"

    def fed(self, default: Input) -> Input:
        """Return what the net is fed: what is said of it, and `default` where nothing is."""
        return Input(
            self.colour or default.colour,
            default.mean if self.mean is None else self.mean,
            default.scale if self.scale is None else self.scale,
        )


def choose_name(options: ImportOptions, default: str, scheme: str, folder: Path) -> str:
    """Return the name of a new entry; that of an earlier import by the same `scheme` may be taken again.

    Raises:
        InstallationError: it cannot be a name, or is that of something else.
    """
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", default).strip(".-") if options.name is None else options.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name):
        raise InstallationError(f"{name!r} cannot be a name: expected letters, digits, - and .; say --name")
    for entry in load_catalogue(folder):
        if entry.name == name and not entry.source.startswith(scheme):
            raise InstallationError(f"the catalogue has another {name!r} already; say --name")
    return name


@contextmanager
def import_folder(folder: Path) -> Iterator[Path]:
    """Give a folder for unfinished files, on the disk of `folder`, to one process at a time.

    Raises:
        OnlookerError: nothing can be written there.
    """
    try:
        with workspace(folder) as work:
            yield work
    except OSError as error:
        raise InstallationError(f"cannot write to {folder}: {error.strerror}") from None


def origin_of(name: str, data: bytes) -> Origin:
    """Describe the file `name` that a net was made from."""
    return Origin(name, len(data), hashlib.sha256(data).hexdigest())


def describe_files(paths: Sequence[Path]) -> list[File]:
    """Describe the files that are to be installed."""
    return [_describe(path) for path in paths]


def _describe(path: Path) -> File:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return File(path.name, path.name, path.stat().st_size, digest)


def install(files: Sequence[Path], name: str, table: Mapping[str, Any], folder: Path, work: Path) -> Entry:
    """Move `files` from `work` to `folder`, make `table` the entry `name` and return it, or change nothing.

    Raises:
        OnlookerError: a file would overwrite one of another entry, or the entry cannot be written.
    """
    _check_free({path.name for path in files}, name, folder)
    _swap(files, folder, work, lambda: put_local(folder, name, msgspec.to_builtins(table)))
    return load_catalogue(folder).get(name)


def _check_free(files: set[str], name: str, folder: Path) -> None:
    """Refuse to overwrite what belongs to another entry."""
    for entry in load_catalogue(folder):
        for file in entry.files if entry.name != name else ():
            if file.name in files:
                raise InstallationError(f"{file.name} belongs to {entry.name!r} already; say --name")


def _swap(files: Sequence[Path], folder: Path, work: Path, record: Callable[[], None]) -> None:
    """Move `files` to `folder` and `record` that; where that fails, put back what was there before."""
    before = work / "before"
    before.mkdir()
    installed: list[Path] = []
    try:
        for file in files:
            target = folder / file.name
            if target.exists():
                target.replace(before / file.name)
            installed.append(target)
            file.replace(target)
        record()
    except BaseException:
        for target in installed:
            target.unlink(missing_ok=True)
            if (before / target.name).exists():
                (before / target.name).replace(target)
        raise
