"""Lists of pairs of pictures in the formats of Labeled Faces in the Wild."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.evaluation.errors import DatasetError

__all__ = ["Pair", "PairList", "read_list"]

#: Digits of the largest number that a list can have.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures, whether they show the same person, and the fold they belong to, from 0."""

    first: Path
    second: Path
    same: bool
    fold: int


@dataclass(frozen=True, slots=True)
class PairList:
    """A list whose first line is right and fits the number of the others; these are not looked at yet."""

    path: Path
    #: Genuine pairs of each fold, and as many of two people.
    each: int
    lines: tuple[str, ...]

    def pairs_of(self, people: Mapping[str, Sequence[Path]]) -> tuple[Pair, ...]:
        """Return the pairs, of pictures called NAME_0001.jpg and so on.

        Raises:
            DatasetError: a line is no pair, or names a picture that is not there.
        """
        reader = _Reader(self.path, people)
        return tuple(
            reader.read(
                number + 2,
                line,
                same=number % (2 * self.each) < self.each,
                fold=number // (2 * self.each),
            )
            for number, line in enumerate(self.lines)
        )


def read_list(path: Path) -> PairList:
    """Read a list of pairs.

    The first line is `FOLDS EACH` (`pairs.txt`), or `EACH` alone (`pairsDevTest.txt`: one fold). For each
    fold follow EACH lines `NAME N M`, then EACH lines `NAME N OTHER M`; words are divided by tabs, or by
    spaces where a line has no tab.

    Raises:
        DatasetError: it is something else.
    """
    lines = _lines(path)
    folds, each = _header(path, lines[0] if lines else "")
    expected, found = folds * each * 2, len(lines) - 1
    if found != expected:
        raise DatasetError(f"{path}: expected {expected} pairs, as its first line says, found {found}")
    return PairList(path, each, tuple(lines[1:]))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: expected a list of pairs in UTF-8, found something else") from None


def _header(path: Path, line: str) -> tuple[int, int]:
    words = line.split()
    numbers = [int(word) for word in words if _is_number(word)]
    if len(numbers) != len(words) or len(words) not in {1, 2} or 0 in numbers:
        raise DatasetError(f"{path}:1: expected the numbers of folds and of pairs, found {line[:80]!r}")
    return (1, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= _DIGITS


class _Reader:
    """Turns the lines of one file into pairs."""

    def __init__(self, path: Path, people: Mapping[str, Sequence[Path]]) -> None:
        self._path = path
        self._pictures: dict[str, dict[str, list[Path]]] = {}
        for name, theirs in people.items():
            stems = self._pictures.setdefault(name, {})
            for picture in theirs:
                stems.setdefault(picture.stem, []).append(picture)

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
        if not _is_number(number):
            raise self._error(line, f"expected the number of a picture, found {number[:80]!r}")
        if name not in self._pictures:
            raise self._error(line, f"there is no folder with pictures of {name!r}")
        stem = f"{name}_{int(number):04d}"
        found = self._pictures[name].get(stem, [])
        if not found:
            raise self._error(line, f"there is no picture {stem} in the folder {name}")
        if len(found) > 1:
            names = " and ".join(picture.name for picture in found)
            raise self._error(line, f"{stem} may be one picture or the other: {names}")
        return found[0]

    def _error(self, line: int, text: str) -> DatasetError:
        return DatasetError(f"{self._path}:{line}: {text}")
