"""The index: templates by owner, searched exactly; to add or to remove one costs what it changes.

Templates stand in chunks of bounded size. Who is added comes to a chunk that has room, or to a new one; who
is removed is left out of a copy of their chunk, which joins another one that has room. So any two chunks hold
more than one has room for, and no change costs more than a chunk, however large the index is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chunk", "Index", "Nearest", "View", "compare", "settled"]

#: What lies this near to 1 is 1: a single-precision vector times itself seldom is, exactly.
_ROUNDING = 1e-5


#: Rows that a new one has room for.
_FIRST = 16
Number = TypeVar("Number", np.float32, np.intp)
#: Similarities that are in memory at once.
_BLOCK = 2**20


def compare(probes: NDArray[np.floating], templates: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the cosine similarities of (N, D) with (M, D), all of unit length: (N, M)."""
    return np.asarray(probes, np.float32) @ np.asarray(templates, np.float32).T


def settled(similarities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return similarities as they are counted and compared: what rounding put beside 1 is 1.

    Double precision is what thresholds have, whatever the similarities were computed in.
    """
    values = similarities.astype(np.float64).clip(-1.0, 1.0)
    values[values >= 1.0 - _ROUNDING] = 1.0
    return values


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


@dataclass(frozen=True, slots=True)
class Nearest:
    """What a search says of N probes.

    owners: the nearest owner of each (rank 1), by their best template; None in an empty index.
    similarities: (N,) float64, cosine similarity to them; -1 in an empty index.
    runners_up: (N,) float64, to the next owner; -1 where there is none.
    """

    owners: tuple[str | None, ...]
    similarities: NDArray[np.float64]
    runners_up: NDArray[np.float64]


class Index:
    """Templates of one length, each of an owner.

    One thread may change it while others search: a search sees the index as it was when it began, for what it
    reads is never written again (see `Chunk`), and a change is seen by replacing one tuple.
    """

    def __init__(self, chunk: int = 2048) -> None:
        """Set up an empty index, in chunks of so many templates; an owner who has more has a larger one."""
        self._chunk = chunk
        self._chunks: list[Chunk] = []
        self._places: dict[str, Chunk] = {}
        self._views: tuple[View, ...] = ()

    def __contains__(self, owner: object) -> bool:
        return owner in self._places

    def __len__(self) -> int:
        """How many templates there are."""
        return sum(len(view.rows) for view in self._views)

    def add(self, owner: str, rows: NDArray[np.floating]) -> None:
        """Add an owner with their templates, (K, D) of unit length; those that they had are gone.

        Raises:
            ValueError: there is no template, or they are not as long as the others.
        """
        templates = np.asarray(rows, np.float32)
        if templates.ndim != 2 or not templates.size:
            raise ValueError(f"expected templates (K, D), found {templates.shape}")
        if self._views and templates.shape[1] != self._views[0].rows.shape[1]:
            raise ValueError("expected templates as long as the others")
        self._take_out(owner)
        chunk = self._with_room(len(templates))
        if chunk is None:
            chunk = Chunk(templates.shape[1])
            self._chunks.append(chunk)
        chunk.add(owner, templates)
        self._places[owner] = chunk
        self._show()

    def remove(self, owner: str) -> None:
        """Remove an owner; nothing happens where there is no such one."""
        if owner in self._places:
            self._take_out(owner)
            self._show()

    def search(self, probes: NDArray[np.floating]) -> Nearest:
        """Find the nearest owner of each of `probes`, (N, D) of unit length, and the runner-up's similarity.

        Of owners who are as near the one with the smaller id is taken, whoever came first.

        Raises:
            ValueError: the probes are not as long as the templates.
        """
        views = self._views
        wanted = np.asarray(probes, np.float32)
        found = _Leaders(len(wanted))
        for view in views:
            height = max(1, _BLOCK // len(view.rows))
            for top in range(0, len(wanted), height):
                found.add(top, *view.nearest(wanted[top : top + height]))
        return Nearest(tuple(found.owners), np.array(found.best), np.array(found.second))

    def _with_room(self, rows: int, beside: Chunk | None = None) -> Chunk | None:
        """Return a chunk that has room for so many more rows."""
        fits = (one for one in self._chunks if one is not beside and len(one) + rows <= self._chunk)
        return next(fits, None)

    def _take_out(self, owner: str) -> None:
        chunk = self._places.pop(owner, None)
        if chunk is None:
            return
        chunk.remove(owner)
        other = self._with_room(len(chunk), beside=chunk)
        if other is not None:
            other.extend(chunk.view)
            self._places.update(dict.fromkeys(chunk.view.owners, other))
        if other is not None or not len(chunk):
            self._chunks.remove(chunk)

    def _show(self) -> None:
        self._views = tuple(chunk.view for chunk in self._chunks)


class _Leaders:
    """The nearest owner of each probe among the chunks that have been looked at."""

    def __init__(self, probes: int) -> None:
        self.owners: list[str | None] = [None] * probes
        self.best = [-1.0] * probes
        self.second = [-1.0] * probes

    def add(
        self, start: int, owners: list[str], tops: NDArray[np.float64], others: NDArray[np.float64]
    ) -> None:
        """Take in what a chunk, which has owners of its own, says of the probes from `start` on."""
        found = zip(owners, tops.tolist(), others.tolist(), strict=True)
        for probe, (owner, top, other) in enumerate(found, start):
            leader = self.owners[probe]
            if leader is None or (-top, owner) < (-self.best[probe], leader):
                self.second[probe] = max(self.best[probe], other)
                self.owners[probe], self.best[probe] = owner, top
            else:
                self.second[probe] = max(self.second[probe], top)
