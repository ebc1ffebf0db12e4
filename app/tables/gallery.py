"""The gallery: the enrolled people in memory, searched exactly."""

import asyncio
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from app.messages import Person
from app.search import Index, Match, Nearest, decide

__all__ = ["Gallery"]


_NOBODY = Match(None, None, -1.0, None)

#: Revisions that are remembered for those who wait: one may be overtaken before its waiter looks.
_REMEMBERED = 1000

#: Comparisons that are made on the event loop: half a millisecond, of which a thread would cost a fifth.
_DIRECT = 4000

#: Seconds after which others get their turn on the event loop while everybody is loaded.
_TURN = 0.002


class Gallery:
    """Every template of every enrolled person, made by one embedder.

    Args:
        embedder: the net, ``name@digits``; templates of another one are kept but never matched.
        threshold: least cosine similarity for a name.
        margin: by how much the best person must lead the second one.
        pooled_threshold: least similarity of a template of several faces; `threshold` if not given.
    """

    def __init__(
        self, embedder: str, threshold: float, margin: float, pooled_threshold: float | None = None
    ) -> None:
        self.embedder = embedder
        self.threshold = threshold
        self.pooled_threshold = threshold if pooled_threshold is None else pooled_threshold
        self.margin = margin
        self._people: dict[str, Person] = {}
        self._unreadable: set[str] = set()
        #: By the length of the templates: an embedder has one, whatever else a message may bring.
        self._indexes: dict[int, Index] = {}
        self._stale = 0
        self._version = 0
        self._revisions: deque[str] = deque(maxlen=_REMEMBERED)
        self._changed = asyncio.Condition()
        self._loading = asyncio.Lock()
        #: Who came or went while everybody is loaded: that is newer than what is loaded.
        self._overtaken: set[str] = set()

    @property
    def people(self) -> Mapping[str, Person]:
        """The enrolled people by id; not to be changed."""
        return MappingProxyType(self._people)

    @property
    def unreadable(self) -> Collection[str]:
        """Ids of enrolled people whom this program cannot read: it cannot name them, nor add to them."""
        return frozenset(self._unreadable)

    @property
    def version(self) -> int:
        """A number that is another one whenever somebody has come, gone or changed."""
        return self._version

    @property
    def templates(self) -> int:
        """How many templates can be matched."""
        return max(map(len, self._indexes.values()), default=0)

    @property
    def stale(self) -> int:
        """How many templates another embedder made: those photographs must be enrolled again."""
        return self._stale

    async def load(self, people: Iterable[Person], unreadable: Collection[str] = ()) -> None:
        """Replace everybody; others get their turn on the event loop while `people` are gone through.

        Who is the very object that the gallery has is not touched. `unreadable` is looked at when `people`
        have been gone through, and may be filled on the way.
        """
        async with self._loading:
            self._overtaken.clear()
            listed = set()
            turn = time.monotonic() + _TURN
            for person in people:
                listed.add(person.id)
                if person.id not in self._overtaken and self._people.get(person.id) is not person:
                    self._put(person)
                if time.monotonic() > turn:
                    await asyncio.sleep(0)
                    turn = time.monotonic() + _TURN
            for gone in self._people.keys() - listed - self._overtaken:
                self._remove(gone)
            self._unreadable &= self._overtaken
            self._unreadable |= set(unreadable) - self._overtaken
        await self._announce()

    def has(self, person: str) -> bool:
        """Tell whether somebody is enrolled, whom this program may be unable to read."""
        return person in self._people or person in self._unreadable

    async def put(self, person: Person) -> None:
        """Add a person, or replace them."""
        self._unreadable.discard(person.id)
        self._overtake(person.id)
        self._put(person)
        await self._announce()

    async def remove(self, person: str) -> None:
        """Remove a person; nothing happens where there is no such one."""
        self._overtake(person)
        known = person in self._people
        if known:
            self._remove(person)
        if known or person in self._unreadable:
            self._unreadable.discard(person)
            await self._announce()

    async def leave_out(self, person: str) -> None:
        """Know of somebody that they are enrolled, and cannot be read."""
        self._overtake(person)
        if person in self._people:
            self._remove(person)
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

    async def match(
        self, embeddings: NDArray[np.floating], faces: NDArray[np.integer] | int = 1
    ) -> list[Match]:
        """Find the person of each face or template; in a large gallery, off the event loop.

        Args:
            embeddings: (N, D), unit length.
            faces: of how many faces each is, (N,), or all are.
        """
        index = self._indexes.get(embeddings.shape[1], Index())
        while True:
            if len(index) * len(embeddings) <= _DIRECT:
                found = index.search(embeddings)
            else:
                found = await asyncio.to_thread(index.search, embeddings)
            # Who was removed meanwhile is not to be named, and another one may be the nearest.
            if all(owner is None or owner in index for owner in found.owners):
                return self._matches(
                    found, np.where(np.less(faces, 2), self.threshold, self.pooled_threshold)
                )

    def _matches(self, nearest: Nearest, thresholds: NDArray[np.floating]) -> list[Match]:
        named = decide(nearest, thresholds, self.margin).tolist()
        found = zip(
            nearest.owners, nearest.similarities.tolist(), nearest.runners_up.tolist(), named, strict=True
        )
        return [self._match(*columns) for columns in found]

    def _match(self, owner: str | None, similarity: float, runner_up: float, is_them: bool) -> Match:
        if owner is None:
            return _NOBODY
        name = self._people[owner].name if is_them else None
        return Match(owner if is_them else None, name, similarity, owner, runner_up)

    def _overtake(self, person: str) -> None:
        if self._loading.locked():
            self._overtaken.add(person)

    def _put(self, person: Person) -> None:
        if person.id in self._people:
            self._remove(person.id)
        self._people[person.id] = person
        self._revisions.append(person.revision)
        by_length: dict[int, list[NDArray[np.float32]]] = {}
        for template in person.templates:
            if template.embedder != self.embedder:
                self._stale += 1
            elif len(template.embedding):
                by_length.setdefault(len(template.embedding), []).append(template.embedding)
        for length, embeddings in by_length.items():
            self._indexes.setdefault(length, Index()).add(person.id, np.stack(embeddings))

    def _remove(self, person: str) -> None:
        gone = self._people.pop(person)
        self._stale -= sum(template.embedder != self.embedder for template in gone.templates)
        for index in self._indexes.values():
            index.remove(person)

    async def _announce(self) -> None:
        self._version += 1
        async with self._changed:
            self._changed.notify_all()
