"""A piece of the index: templates in one matrix, which a search may read while it is changed."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.search.similarity import compare, settled

__all__ = ["Chunk", "View"]

#: Rows that a new one has room for.
_FIRST = 16

Number = TypeVar("Number", np.float32, np.intp)


class View(NamedTuple):
    """What a chunk holds at one moment; nobody changes it.

    rows: (M, D) float32, each owner's templates side by side.
    spans: (M, 2), the first row of a row's owner, and the first one after theirs.
    owners: of each row; there may be more, who came later.
    """

    rows: NDArray[np.float32]
    spans: NDArray[np.intp]
    owners: Sequence[str]

    def nearest(
        self, probes: NDArray[np.float32]
    ) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
        """Return the nearest owner of each of (N, D), their similarity and that of the next owner.

        Of owners who are as near the one with the smaller id is taken; without a next one, -1 stands.
        """
        similarities = compare(probes, self.rows)
        best = similarities.argmax(axis=1)
        tops = settled(similarities[np.arange(len(probes)), best])
        for probe, (first, stop) in enumerate(self.spans[best].tolist()):
            similarities[probe, first:stop] = -np.inf
        others = settled(similarities.max(axis=1, initial=-np.inf))
        owners = [self.owners[row] for row in best.tolist()]
        for probe in np.flatnonzero(others == tops).tolist():
            rivals = np.flatnonzero(settled(similarities[probe]) == tops[probe]).tolist()
            owners[probe] = min([owners[probe], *(self.owners[row] for row in rivals)])
        return owners, tops, others


class Chunk:
    """The templates of some owners.

    Rows that a view shows are never written again: what is added comes after them, and who is removed is
    left out of a copy.
    """

    def __init__(self, dimension: int) -> None:
        self._rows = np.empty((_FIRST, dimension), np.float32)
        self._spans = np.empty((_FIRST, 2), np.intp)
        self._owners: list[str] = []
        self.view = View(self._rows[:0], self._spans[:0], self._owners)

    def __len__(self) -> int:
        """How many templates there are."""
        return len(self.view.rows)

    def add(self, owner: str, rows: NDArray[np.float32]) -> None:
        """Add an owner's templates, (K, D)."""
        spans = np.broadcast_to(np.array([0, len(rows)], np.intp), (len(rows), 2))
        self.extend(View(rows, spans, [owner] * len(rows)))

    def extend(self, other: View) -> None:
        """Add all owners of another chunk."""
        used = len(self)
        total = used + len(other.rows)
        if total > len(self._rows):
            room = max(total, 2 * len(self._rows))
            self._rows, self._spans = _joined([self._rows[:used]], room), _joined([self._spans[:used]], room)
        self._rows[used:total] = other.rows
        self._spans[used:total] = other.spans + used
        self._owners.extend(other.owners[: len(other.rows)])
        self._show(total)

    def remove(self, owner: str) -> None:
        """Remove an owner who is in it."""
        first, stop = self._spans[self._owners.index(owner)].tolist()
        used, room = len(self), len(self._rows)
        self._rows = _joined([self._rows[:first], self._rows[stop:used]], room)
        self._spans = _joined([self._spans[:first], self._spans[stop:used]], room)
        self._spans[first:] -= stop - first
        self._owners = self._owners[:first] + self._owners[stop:]
        self._show(len(self._owners))

    def _show(self, used: int) -> None:
        self.view = View(self._rows[:used], self._spans[:used], self._owners)


def _joined(parts: Sequence[NDArray[Number]], room: int) -> NDArray[Number]:
    """Return a copy of `parts`, one after the other, with room for so many rows."""
    copy = np.empty((room, parts[0].shape[1]), parts[0].dtype)
    np.concatenate(parts, out=copy[: sum(map(len, parts))])
    return copy
