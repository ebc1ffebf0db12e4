"""The index: templates by owner, searched exactly; to add or to remove one costs what it changes.

Templates stand in chunks of bounded size. Who is added comes to a chunk that has room, or to a new one; who
is removed is left out of a copy of their chunk, which joins another one that has room. So any two chunks hold
more than one has room for, and no change costs more than a chunk, however large the index is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.search.chunk import Chunk, View

__all__ = ["Index", "Nearest"]

#: Similarities that are in memory at once.
_BLOCK = 2**20


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
