"""Lists of pairs of pictures in the formats of Labeled Faces in the Wild."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.evaluation.errors import DatasetError

__all__ = ["Pair", "read_pairs"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures, whether they show the same person, and the fold they belong to, from 0."""

    first: Path
    second: Path
    same: bool
    fold: int


def read_pairs(path: Path, people: Mapping[str, Sequence[Path]]) -> tuple[Pair, ...]:
    """Read a list whose pictures are `people`'s, called NAME_0001.jpg and so on.

    The first line is `FOLDS EACH` (`pairs.txt`), or `EACH` alone (`pairsDevTest.txt`: one fold). For each
    fold follow EACH lines `NAME N M`, then EACH lines `NAME N OTHER M`; words are divided by tabs, or by
    spaces where a line has no tab.

    Raises:
        DatasetError: a line is something else, or names a picture that is not there.
    """
    lines = _lines(path)
    folds, each = _header(path, lines[0] if lines else "")
    expected, found = folds * each * 2, len(lines) - 1
    if found != expected:
        raise DatasetError(f"{path}: expected {expected} pairs, as its first line says, found {found}")
    pictures = {name: {picture.stem: picture for picture in theirs} for name, theirs in people.items()}
    reader = _Reader(path, pictures)
    return tuple(
        reader.read(number + 2, line, same=number % (2 * each) < each, fold=number // (2 * each))
        for number, line in enumerate(lines[1:])
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: expected a list of pairs in UTF-8, found something else") from None


def _header(path: Path, line: str) -> tuple[int, int]:
    words = line.split()
    numbers = [int(word) for word in words if word.isascii() and word.isdigit()]
    if len(numbers) != len(words) or len(words) not in {1, 2} or 0 in numbers:
        raise DatasetError(f"{path}:1: expected the numbers of folds and of pairs, found {line[:80]!r}")
    return (1, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


class _Reader:
    """Turns the lines of one file into pairs."""

    def __init__(self, path: Path, pictures: Mapping[str, Mapping[str, Path]]) -> None:
        self._path = path
        self._pictures = pictures

    def read(self, line: int, text: str, *, same: bool, fold: int) -> Pair:
        words = text.split("\t") if "\t" in text else text.split()
        words = [word.strip() for word in words]
        if len(words) != (3 if same else 4):
            form = "NAME N M (the same person)" if same else "NAME N OTHER M (two people)"
            raise self._error(line, f"expected {form}, found {text[:80]!r}")
        other = words[0] if same else words[2]
        first, second = self._find(line, words[0], words[1]), self._find(line, other, words[-1])
        if first == second:
            raise self._error(line, f"a picture is paired with itself: {text[:80]!r}")
        if not same and words[0] == other:
            raise self._error(line, f"expected two people, found {other!r} twice")
        return Pair(first, second, same, fold)

    def _find(self, line: int, name: str, number: str) -> Path:
        if not (number.isascii() and number.isdigit()):
            raise self._error(line, f"expected the number of a picture, found {number[:80]!r}")
        if name not in self._pictures:
            raise self._error(line, f"there is no folder with pictures of {name!r}")
        stem = f"{name}_{int(number):04d}"
        if stem not in self._pictures[name]:
            raise self._error(line, f"there is no picture {stem} in the folder {name}")
        return self._pictures[name][stem]

    def _error(self, line: int, text: str) -> DatasetError:
        return DatasetError(f"{self._path}:{line}: {text}")
