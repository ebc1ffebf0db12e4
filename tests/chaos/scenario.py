"""A script for streams: who is on which frame, and so which visits must come of it."""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from aiokafka.partitioner import DefaultPartitioner
from standin_nets import PEOPLE, SLOTS, UNKNOWN, picture_of, poison

__all__ = ["CROWDED", "PERIOD", "SPREAD", "Layout", "Script", "Shot", "Visit", "visits"]

#: Milliseconds between two frames of a stream.
PERIOD = 100
#: Frames for which somebody is there; gone for less than the gap, which is 3 s; gone for more.
_STAYS, _BREAKS, _ABSENCES = (2, 60), (2, 20), (45, 90)
#: In so many frames of as many, nobody is there: every visit ends.
_QUIET, _ROUND = 50, 300


@dataclass(frozen=True, slots=True)
class Layout:
    """How streams lie on partitions."""

    name: str
    partitions: int
    streams_each: int

    def streams(self) -> list[str]:
        """Return names that the default partitioner puts so many of on each partition."""
        on: dict[int, list[str]] = {number: [] for number in range(self.partitions)}
        names = map("camera-{}".format, itertools.count())
        while any(len(streams) < self.streams_each for streams in on.values()):
            name = next(names)
            streams = on[partition_of(name, self.partitions)]
            if len(streams) < self.streams_each:
                streams.append(name)
        return [name for streams in on.values() for name in streams]


CROWDED = Layout("several streams on one partition", 2, 3)
SPREAD = Layout("one stream on each partition", 4, 1)


def partition_of(stream: str, partitions: int) -> int:
    """Return the partition on which a stream is."""
    numbers = list(range(partitions))
    found: int = _choose(stream.encode(), numbers, numbers)
    return found


_choose = DefaultPartitioner()


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame of the script."""

    stream: str
    seq: int
    #: Milliseconds since the epoch.
    captured: int
    people: tuple[str, ...]
    #: The picture on which the nets fail; nobody is seen on it.
    poisoned: bool = False

    @property
    def jpeg(self) -> bytes:
        """The picture."""
        return _poison() if self.poisoned else _picture(self.people)


@cache
def _picture(people: tuple[str, ...]) -> bytes:
    return picture_of(people)


@cache
def _poison() -> bytes:
    return poison()


@dataclass(frozen=True, slots=True, order=True)
class Visit:
    """Somebody's visit to a stream, as the newest version of its sighting must tell it."""

    stream: str
    person: str
    #: Milliseconds since the epoch.
    first: int
    last: int
    frames: int

    def __str__(self) -> str:
        length = self.last - self.first
        return f"{self.person} on {self.stream}, {self.first} + {length} ms, {self.frames} frames"


class Script:
    """The frames of several streams that are seen at once, without end; the same for the same names.

    Arguments:
        start: capture time of the first frames, milliseconds since the epoch.
    """

    def __init__(self, streams: Sequence[str], start: int) -> None:
        self.streams = tuple(streams)
        self._start = start
        self._there = {
            stream: {person: _presence(f"{stream}/{person}") for person in _cast(number)}
            for number, stream in enumerate(streams)
        }
        self._next = 0

    def rounds(self, count: int | None = None) -> Iterator[list[Shot]]:
        """Yield a frame of every stream, then the next of each; goes on where it was left."""
        for _ in itertools.repeat(None) if count is None else range(count):
            yield self._round()

    def ending(self) -> list[list[Shot]]:
        """Return rounds in which every second stream shows nobody for longer than the gap; the others end."""
        return [[replace(shot, people=()) for shot in self._round()[::2]] for _ in range(_QUIET)]

    def _round(self) -> list[Shot]:
        number, self._next = self._next, self._next + 1
        quiet = number % _ROUND >= _ROUND - _QUIET
        return [
            Shot(stream, number, self._start + number * PERIOD, () if quiet else self._people(stream))
            for stream in self.streams
        ]

    def _people(self, stream: str) -> tuple[str, ...]:
        return tuple(person for person, there in self._there[stream].items() if next(there))


def _cast(number: int) -> list[str]:
    """Return who comes to a stream: three who are enrolled, and to every second one a stranger."""
    known = [PEOPLE[(number + step) % len(PEOPLE)] for step in range(len(SLOTS) - 1)]
    return known + ([UNKNOWN] if number % 2 else [])


def _presence(seed: str) -> Iterator[bool]:
    """Yield whether somebody is there, frame by frame."""
    chance = random.Random(seed)
    yield from itertools.repeat(False, chance.randint(0, 40))
    while True:
        yield from itertools.repeat(True, chance.randint(*_STAYS))
        yield from itertools.repeat(False, chance.randint(*chance.choice([_BREAKS, _ABSENCES])))


def visits(shots: Iterable[Shot], gap: int, unknown_frames: int) -> list[Visit]:
    """Return the visits that frames show, each stream's in the order of the log.

    A frame whose time is further than `gap` from when somebody was seen last, either way, ends their visit:
    they were gone, or the clock was set. Somebody unknown counts from `unknown_frames` frames on.
    """
    over: list[Visit] = []
    going: dict[tuple[str, str], Visit] = {}
    for shot in shots:
        for key, visit in list(going.items()):
            if visit.stream == shot.stream and abs(shot.captured - visit.last) > gap:
                over.append(going.pop(key))
        for person in shot.people:
            key = shot.stream, person
            visit = going.get(key) or Visit(shot.stream, person, shot.captured, shot.captured, 0)
            last = max(visit.last, shot.captured)
            going[key] = replace(visit, last=last, frames=visit.frames + 1)
    found = [*over, *going.values()]
    return sorted(one for one in found if one.person != UNKNOWN or one.frames >= unknown_frames)
