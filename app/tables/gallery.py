"""The gallery: the enrolled people in memory, searched exactly."""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from app.messages import Faces, Gate, Person

__all__ = ["Gallery", "Match"]


@dataclass(frozen=True, slots=True)
class Match:
    """What the gallery says of one face."""

    #: The person it is, or None where nobody is near enough or two people are too near each other.
    person: str | None
    name: str | None
    #: Cosine similarity to the nearest person's nearest template; -1 in an empty gallery.
    similarity: float
    #: The nearest person, whether or not it is them.
    nearest: str | None


_NOBODY = Match(None, None, -1.0, None)

#: Revisions that are remembered for those who wait: one may be overtaken before its waiter looks.
_REMEMBERED = 1000


class Gallery:
    """Every template of every enrolled person, made by one embedder.

    Arguments:
        embedder: the net, ``name@digits``; templates of another one are kept but never matched.
        threshold: least cosine similarity for a name.
        margin: by how much the best person must lead the second one.
    """

    def __init__(self, embedder: str, threshold: float, margin: float) -> None:
        self.embedder = embedder
        self.threshold = threshold
        self.margin = margin
        self._people: dict[str, Person] = {}
        self._unreadable: set[str] = set()
        self._revisions: deque[str] = deque(maxlen=_REMEMBERED)
        self._changed = asyncio.Condition()
        self._index: _Index | None = None

    @property
    def people(self) -> Mapping[str, Person]:
        """The enrolled people by id; not to be changed."""
        return MappingProxyType(self._people)

    @property
    def unreadable(self) -> Collection[str]:
        """Ids of enrolled people whom this program cannot read: it cannot name them, nor add to them."""
        return frozenset(self._unreadable)

    @property
    def templates(self) -> int:
        """How many templates can be matched."""
        return len(self._searchable().owners)

    @property
    def stale(self) -> int:
        """How many templates another embedder made: those photographs must be enrolled again."""
        return sum(
            template.embedder != self.embedder
            for person in self._people.values()
            for template in person.templates
        )

    async def load(self, people: Iterable[Person], unreadable: Iterable[str] = ()) -> None:
        """Replace everybody."""
        self._people = {person.id: person for person in people}
        self._unreadable = set(unreadable)
        self._revisions.extend(person.revision for person in self._people.values())
        await self._announce()

    async def put(self, person: Person) -> None:
        """Add a person, or replace them."""
        self._people[person.id] = person
        self._unreadable.discard(person.id)
        self._revisions.append(person.revision)
        await self._announce()

    async def remove(self, person: str) -> None:
        """Remove a person; nothing happens where there is no such one."""
        if self._people.pop(person, None) is not None or person in self._unreadable:
            self._unreadable.discard(person)
            await self._announce()

    async def leave_out(self, person: str) -> None:
        """Know of somebody that they are enrolled, and cannot be read."""
        self._people.pop(person, None)
        self._unreadable.add(person)
        await self._announce()

    async def wait_for(self, person: str, revision: str | None, known: bool = False) -> None:
        """Wait until `person` has been at `revision` (None: until they are gone), or cannot be read.

        Args:
            known: they are enrolled already; somebody may remove them before the revision arrives.
        """

        def arrived() -> bool:
            enrolled = person in self._people or person in self._unreadable
            if revision is None:
                return not enrolled
            overtaken = person in self._unreadable or (known and not enrolled)
            return overtaken or revision in self._revisions

        async with self._changed:
            await self._changed.wait_for(arrived)

    def match(self, embeddings: NDArray[np.floating]) -> list[Match]:
        """Find the person of each face.

        Arguments:
            embeddings: (N, D), unit length.
        """
        index = self._searchable()
        if not index.owners.size or embeddings.shape[1] != index.templates.shape[1]:
            return [_NOBODY] * len(embeddings)
        similarities = np.asarray(embeddings, np.float32) @ index.templates.T
        best = np.maximum.reduceat(similarities, index.starts, axis=1)
        return [self._decide(index, row) for row in best]

    def name(self, faces: Faces) -> list[Match | None]:
        """Find the person of every face of a frame; None for those without an embedding to compare."""
        if faces.embedder != self.embedder:
            return [None] * len(faces)
        passed = [row for row in range(len(faces)) if faces.gates[row] == Gate.PASSED]
        matches: list[Match | None] = [None] * len(faces)
        for row, match in zip(passed, self.match(faces.embeddings[passed]) if passed else [], strict=True):
            matches[row] = match
        return matches

    def _decide(self, index: "_Index", best: NDArray[np.float32]) -> Match:
        nearest = int(best.argmax())
        similarity = float(best[nearest])
        second = float(np.partition(best, -2)[-2]) if len(best) > 1 else -1.0
        person = index.people[nearest]
        if similarity >= self.threshold and similarity - second >= self.margin:
            return Match(person.id, person.name, similarity, person.id)
        return Match(None, None, similarity, person.id)

    def _searchable(self) -> "_Index":
        """Return the index, built again if somebody came or went since the last search."""
        if self._index is None:
            self._index = _Index(self._people.values(), self.embedder)
        return self._index

    async def _announce(self) -> None:
        self._index = None
        async with self._changed:
            self._changed.notify_all()


class _Index:
    """The templates as one matrix, each person's side by side; those of an odd length are left out."""

    def __init__(self, people: Collection[Person], embedder: str) -> None:
        dimension = _dimension(people, embedder)
        rows: list[NDArray[np.float32]] = []
        starts: list[int] = []
        owners: list[int] = []
        self.people: list[Person] = []
        for person in people:
            usable = [
                template.embedding
                for template in person.templates
                if template.embedder == embedder and len(template.embedding) == dimension
            ]
            if usable:
                starts.append(len(rows))
                owners.extend([len(self.people)] * len(usable))
                self.people.append(person)
                rows.extend(usable)
        self.templates: NDArray[np.float32] = np.stack(rows) if rows else np.empty((0, 0), np.float32)
        self.starts = np.array(starts, np.intp)
        self.owners = np.array(owners, np.intp)


def _dimension(people: Iterable[Person], embedder: str) -> int:
    """Return the length that most templates of an embedder have."""
    lengths = Counter(
        len(template.embedding)
        for person in people
        for template in person.templates
        if template.embedder == embedder
    )
    return max(lengths, key=lengths.__getitem__, default=0)
