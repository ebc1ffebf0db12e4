"""Datasets: a folder of people with their pictures, and a list of pairs where there is one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.evaluation.errors import DatasetError, printable
from app.evaluation.pairs import Pair, read_list

__all__ = ["Dataset", "read_dataset"]

#: What can be enrolled can be measured.
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
PAIRS = "pairs.txt"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Who there is, and their pictures in the order of their names; `pairs` is empty without a list.

    Its `name` can be printed, whatever the folder is called.
    """

    name: str
    people: Mapping[str, tuple[Path, ...]]
    pairs: tuple[Pair, ...]

    @property
    def pictures(self) -> list[Path]:
        """Every picture, person by person."""
        return [picture for theirs in self.people.values() for picture in theirs]


def read_dataset(path: Path, images: Path | None = None) -> Dataset:
    """Read what `path` holds: a list of pairs, or a folder with one or without.

    A person is a folder NAME with its pictures (JPEG, PNG, WebP). The people are in `images` if it is given,
    else in the folder `images` beside the list of pairs, else in the dataset's folder itself.

    Raises:
        DatasetError: it is none of these, a person has no picture, or the list does not fit.
    """
    folder = path if path.is_dir() else path.parent
    pairs = path if path.is_file() else folder / PAIRS
    if not path.is_dir() and not path.is_file():
        raise DatasetError(f"{path}: expected a folder of people or a list of pairs, found nothing")
    # Before the people: where a wrong file was named, its folder is not to blame.
    listed = read_list(pairs) if pairs.is_file() else None
    people = _people(images or _images(folder))
    name = folder.resolve().name if path.is_dir() else f"{folder.resolve().name}/{path.name}"
    return Dataset(printable(name), people, listed.pairs_of(people) if listed else ())


def _images(folder: Path) -> Path:
    inner = folder / "images"
    # A person may be called "images"; then the folder has pictures, not people.
    return inner if inner.is_dir() and _folders(inner) else folder


def _people(folder: Path) -> dict[str, tuple[Path, ...]]:
    people = {person.name: _pictures(person) for person in _folders(folder)}
    if not people:
        raise DatasetError(f"{folder}: expected a folder for each person, found none")
    return people


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    except OSError as error:
        raise DatasetError(f"cannot read the folder {folder}: {error.strerror}") from None


def _pictures(person: Path) -> tuple[Path, ...]:
    found = tuple(
        sorted(
            entry
            for entry in person.iterdir()
            if entry.suffix.lower() in SUFFIXES and entry.name[0] != "." and entry.is_file()
        )
    )
    if not found:
        raise DatasetError(f"{person}: expected pictures (JPEG, PNG or WebP), found none")
    return found
